"""The environment and the user with which the tests run other programs."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "root:Milvus"  # that of a new server
SCREENSHOTS = ROOT / "runs"


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a run that keeps its data apart and has no network."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MILVUS_")}
    proxies = dict.fromkeys(["http_proxy", "https_proxy"], "http://127.0.0.1:9")
    own = {"IMAGE_SEARCH_DATA_DIR": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    return kept | proxies | {"PYTHONUTF8": "1"} | own | more


def python(*arguments, env: dict, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """Run Python to its end; return the finished process, with what it printed."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, encoding="utf-8")


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Act as an ordinary user: root is never refused anything."""
    if not hasattr(os, "geteuid"):
        pytest.skip("this system has no users to switch to")
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def make(*arguments: str) -> str:
    """Run make as from a terminal, and return what it prints."""
    # Without what `make test` passes on to a make that it starts.
    env = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    done = subprocess.run(
        ["make", *arguments],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    return done.stdout
