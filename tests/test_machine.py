import os
import subprocess
import sys

import pytest

from .benchmarks import machine
from .support.processes import ROOT

PARENT = """
import subprocess, sys
from tests.benchmarks.machine import peak_megabytes
held = bytearray(b"x") * 1_000_000_000
child = "from tests.benchmarks.machine import peak_megabytes; print(peak_megabytes())"
subprocess.run([sys.executable, "-c", child], check=True)
print(peak_megabytes())
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="Linux tells it there")
def test_a_process_is_not_charged_for_the_memory_of_the_one_that_started_it():
    command = [sys.executable, "-c", PARENT]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    child, parent = map(float, done.stdout.split())
    assert parent > 1000
    assert 20 < child < parent - 500


def test_a_heading_says_where_and_when(monkeypatch):
    monkeypatch.setattr(
        machine.torch.cpu, "get_capabilities", lambda: {"avx2": True, "amx_bf16": 1}, raising=False
    )
    said = machine.heading()
    assert said.startswith(f"{machine.processor()} (AVX2, AMX), {os.cpu_count()} cores")
    assert said.endswith(f", {machine.today()}, commit {machine.commit()}")


def test_without_what_tells_them_features_and_commit_are_unknown(monkeypatch, tmp_path):
    monkeypatch.delattr(machine.torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    monkeypatch.delenv("GIT_DIR", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert machine.features() == "features unknown"
    assert machine.commit() == "unknown"
