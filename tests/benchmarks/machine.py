"""Where and when figures were measured: a figure without its machine means little."""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import torch

from ..support.processes import ROOT

FEATURES = {  # as torch calls them: what makes matrix products fast
    "avx2": "AVX2",
    "avx512_f": "AVX-512",
    "avx512_bf16": "AVX512-BF16",
    "amx_bf16": "AMX",
    "bf16": "BF16",  # of Arm
    "sve": "SVE",
}


def heading() -> str:
    """Return the processor, its features, how busy it is, the date and the commit."""
    parts = [f"{processor()} ({features()})", f"{os.cpu_count()} cores"]
    if hasattr(os, "getloadavg"):
        parts.append(f"load {os.getloadavg()[0]:.1f} at the start")
    return ", ".join([*parts, today(), f"commit {commit()}"])


def processor() -> str:
    """Return the name that the processor gives itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def features() -> str:
    """Return those of `FEATURES` that torch finds; it has told them since 2.5 or so."""
    found = getattr(torch.cpu, "get_capabilities", dict)()
    names = [title for name, title in FEATURES.items() if found.get(name)]
    return ", ".join(names) if found else "features unknown"


def today() -> str:
    return time.strftime("%Y-%m-%d")


def commit() -> str:
    """Return the commit, with "-dirty" where files differ from it; "unknown" without git."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()


def peak_megabytes() -> float:
    """Return the most memory that this process ever had; NaN where the system does not tell.

    On Linux not by `getrusage`: there a new process begins with the peak of the one that started
    it.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return float(status.split("VmHWM:")[1].split()[0]) * 2**10 / 1e6
    except (OSError, IndexError):  # no Linux
        pass
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
