"""A clone of the project, and the commands that its pages show."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import requests

from helpers.collection.connection import pymilvus

from .processes import ROOT, environment

_PROGRAMS = r"make|python3?|papermill|pip|conda|jupyter|apt|playwright|cd|git|\.venv/bin/pip|\."
_ADDRESS = re.compile(r"http://[\w.:/?=&%-]+[\w/-]")
_COMMAND = re.compile(rf"(?:[A-Z_]+=\S+ )*(?:{_PROGRAMS})(?: .*)?", re.DOTALL)


def commands(page: str) -> list[str]:
    """Return the commands of a page in their order, each once: in blocks of shell, and in words."""
    blocks = re.split(r"^```(\w*)\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    found = []
    for words, kind, block in zip(
        blocks[::3], [*blocks[1::3], ""], [*blocks[2::3], ""], strict=True
    ):
        found += re.findall(r"`([^`]+)`", words)
        if kind == "sh":
            lines = block.replace("\\\n", " ").splitlines()
            found += [re.sub(r"\s+# .*", "", line).strip() for line in lines]
    return list(dict.fromkeys(text for text in found if _COMMAND.fullmatch(text)))


class Clone:
    """A copy of the project in a folder, and somebody's home folder with flat photos in it."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home
        own = {"HOME": str(home), "USERPROFILE": str(home), "PYTHONPATH": str(folder)}
        own |= {"MILVUS_TOKEN": "geheim-token", "BROWSER": "true", "PYTHONUNBUFFERED": "1"}
        self.env = environment(folder / "data", **own)
        del self.env["IMAGE_SEARCH_DATA_DIR"]
        for name in [name for name in self.env if "MAKE" in name or name == "MFLAGS"]:
            del self.env[name]  # of the make that runs the tests
        self.env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    def make(self, drawings: Path) -> None:
        """Copy the project and its installation, and draw what the demo would draw."""
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
        for name in os.fsdecode(names).split("\0")[:-1]:
            if (ROOT / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, self.folder / name)
        for name in ("pyproject.toml", "constraints.txt"):
            os.utime(self.folder / name, (0, 0))  # older than what is installed
        (self.folder / ".venv").symlink_to(sys.prefix)
        shutil.copytree(drawings, self.folder / "data" / "demo" / "images")
        (self.home / "Photos").mkdir(parents=True)
        (self.home / ".jupyter").mkdir()  # in CI, root runs the tests
        server = {"ServerApp": {"allow_root": True}}
        (self.home / ".jupyter" / "jupyter_server_config.json").write_text(json.dumps(server))
        for number, path in enumerate(sorted(drawings.glob("*/*.jpg"))[::33]):
            shutil.copy(path, self.home / "Photos" / f"IMG_{number:04}.jpg")

    def run(self, command: str) -> str:
        """Run a command to its end; return what it printed."""
        done = subprocess.run(self._shell(command), **self._options())
        assert done.returncode == 0, f"{command}\n{done.stdout[-5000:]}"
        return done.stdout

    def serve(self, command: str, wait_until: Callable[[Callable], None]) -> tuple[str, int]:
        """Run a command until the address that it prints answers; return its words and status."""
        log = self.folder / "served.log"
        with open(log, "w") as written:
            options = self._options() | {"stdout": written}
            server = subprocess.Popen(self._shell(command), **options)
        answers: list[int] = []

        def answered() -> bool:
            assert server.poll() is None, f"{command}\n{log.read_text()}"
            answers.extend(filter(None, map(_status, _ADDRESS.findall(log.read_text()))))
            return bool(answers)

        try:
            wait_until(answered)
        finally:
            for process in _family(server.pid):
                process.terminate()
            server.wait()
        return log.read_text(), answers[0]

    def _shell(self, command: str) -> list[str]:
        return ["bash", "-c", command]

    def _options(self) -> dict:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
        return {"cwd": self.folder, "env": self.env, "stdin": subprocess.DEVNULL} | pipes


def _status(address: str) -> int | None:
    """Return the status with which a page answers; of Milvus, which has none, 200."""
    try:
        return requests.get(address, timeout=5, proxies={"http": ""}).status_code
    except requests.RequestException:
        pass
    try:
        pymilvus.MilvusClient(
            address, timeout=5, grpc_options={"grpc.enable_http_proxy": 0}
        ).close()
        return 200
    except pymilvus.MilvusException:
        return None


def _family(pid: int) -> Iterator[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        yield from [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        pass
