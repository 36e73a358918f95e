"""A real Milvus server on this machine: `python -m tests.support.server`, or `make server`.

PyPI's `milvus` 2.3.5 contains its binary for Linux and macOS on x86-64. Not about talking to a
server: that is `connection`.
"""

import argparse
import contextlib
import ctypes
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from helpers.settings import resolve_path

__all__ = ["Server"]

_PARTS = ["proxy", "proxy_internal", "root_coord", "query_coord", "query_node", "index_coord"]
_PARTS += ["index_node", "data_coord", "data_node", "etcd"]
_SECTIONS = ("proxy", "rootCoord", "queryCoord", "queryNode", "indexNode", "dataCoord", "dataNode")
# Below its working directory, so that no path in its configuration needs quotes.
_PLACES = {"etcd_log_path": "logs/etcd.log", "etcd_data_dir": "data/etcd.data"}
_PLACES |= {"system_log_path": "logs", "local_storage_dir": "data"}
_PLACES |= {"rocksmq_data_dir": "data/rocksmq"}
_PORTS = len(_PARTS) + 2  # and one for health and metrics, one that etcd has for its peers
_PATIENCE = 60  # seconds to end by itself; up to 30 were seen


class Server:
    """A Milvus server that ends with this process; a context manager.

    Its parts talk to each other over ports of their own, which follow its first one. The same
    first port means the same ports; on others, a killed server takes a minute to start again.

    Parameters
    ----------
    data_dir : path, optional
        Where data, logs and configuration are kept; by default `server` in the data folder.
    port : int, optional
        By default one that is free.
    authorization : bool
        Whether a token is needed; that of a new server is `root:Milvus`.

    Raises
    ------
    ModuleNotFoundError
        If the package `milvus` is missing.
    OSError
        If the port or the folder is in use, or may not be used.
    ConnectionError
        If the server ends before it answers.
    """

    def __init__(
        self,
        data_dir: str | os.PathLike | None = None,
        port: int | None = None,
        authorization: bool = False,
    ) -> None:
        base = os.environ.get("IMAGE_SEARCH_DATA_DIR") or "data"
        self.data_dir = resolve_path(data_dir or resolve_path(base) / "server")
        self.ports = range(port, port + _PORTS) if port else _free_ports()
        self.authorization = authorization
        self.process: subprocess.Popen | None = None

    @property
    def address(self) -> str:
        """What `ImageStore` and `milvus_uri` take."""
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.data_dir / "logs" / "server.log"

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server, and wait until it answers, however long that takes."""
        milvus = _package()
        _check_ports(self.ports)
        with contextlib.ExitStack() as files:
            lock = files.enter_context(_locked(self.data_dir))
            self._configure(milvus.MilvusServerConfig())
            milvus._initialize_data_files(str(self.data_dir))
            log = files.enter_context(self.log.open("wb"))
            self.process = subprocess.Popen(
                [self.data_dir / "bin" / "milvus", "run", "standalone"],
                cwd=self.data_dir,  # it looks for its configuration there
                env=self._environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,  # else a Ctrl-C reaches it too
                pass_fds=[lock.fileno()],  # held as long as the server runs
                preexec_fn=_die_with_parent(),
            )
        try:
            self._wait_until_healthy(self.process)
        except BaseException:
            self.stop()
            raise

    def wait(self) -> None:
        """Wait until the server ends, and raise ConnectionError: nobody asked it to end."""
        if self.process:
            self.process.wait()
        raise ConnectionError(self._ended())

    def stop(self) -> None:
        """Ask the server to end, and wait; a second Ctrl-C kills it, and its data survive that."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.process.kill()
            self.process.wait()
            with contextlib.suppress(OSError):  # the one thing that it leaves outside its folder
                Path(f"/tmp/milvus/server_id_{self.process.pid}").unlink(missing_ok=True)

    def _configure(self, config: Any) -> None:
        config.configs["data_dir"] = str(self.data_dir)
        config.resolve_storage()  # makes the folders
        for name, path in _PLACES.items():
            config.set(name, path)
        for part, port in zip(_PARTS, self.ports, strict=False):
            config.configurable_items[f"{part}_port"][1] = port
        for section in _SECTIONS:  # where the parts look for each other: by default on the network
            config.set(f"{section}.ip", "127.0.0.1")
        config.set("authorization_enabled", self.authorization)
        config.set("proxy.http.enabled", "false")  # it serves everything, and asks for no token
        config.write_config()
        (self.data_dir / "configs" / "etcd.yaml").write_text(self._etcd(), encoding="utf-8")

    def _etcd(self) -> str:
        """Return etcd's configuration; by default all servers of a machine get the same ports."""
        own, peers = (f"http://127.0.0.1:{port}" for port in (self.ports[-3], self.ports[-1]))
        settings = {
            "name": "default",
            "data-dir": _PLACES["etcd_data_dir"],
            "log-outputs": [_PLACES["etcd_log_path"]],
            "listen-client-urls": own,
            "advertise-client-urls": own,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"default={peers}",
        }
        return json.dumps(settings, indent=1)  # which is YAML as well

    def _environment(self) -> dict[str, str]:
        libraries = "DYLD_LIBRARY_PATH" if sys.platform == "darwin" else "LD_LIBRARY_PATH"
        kept = {name: value for name, value in os.environ.items() if "MILVUS" not in name}
        return kept | {
            "DEPLOY_MODE": "STANDALONE",
            "METRICS_PORT": str(self.ports[-2]),
            "ETCD_CONFIG_PATH": "configs/etcd.yaml",
            libraries: f"{self.data_dir / 'bin'}:{os.environ.get(libraries, '')}",
        }

    def _wait_until_healthy(self, process: subprocess.Popen) -> None:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while True:
            if process.poll() is not None:
                raise ConnectionError(self._ended())
            with contextlib.suppress(OSError):
                url = f"http://127.0.0.1:{self.ports[-2]}/healthz"
                if direct.open(url, timeout=5).read() == b"OK":
                    return
            time.sleep(0.1)

    def _ended(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        telling = [line for line in lines if line.startswith(("panic:", "fatal"))] or lines[-10:]
        return f"the Milvus server has ended; its log {self.log} says:\n" + "\n".join(telling)


def _package() -> Any:
    try:
        import milvus
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "the package milvus, which holds the server, is missing: pip install milvus==2.3.5. "
            "It exists for Linux and macOS on x86-64; elsewhere run Milvus in Docker, or keep to "
            "a file as milvus_uri"
        ) from None
    return milvus


def _free_ports() -> range:
    for _ in range(100):  # below the ports that systems use for outgoing connections
        first = random.randrange(20_000, 32_000, _PORTS)
        ports = range(first, first + _PORTS)
        with contextlib.suppress(OSError):
            _check_ports(ports)
            return ports
    raise OSError(f"no {_PORTS} free ports in a row were found between 20000 and 32000")


def _check_ports(ports: range) -> None:
    for port in ports:
        try:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # it was just stopped
                probe.bind(("", port))
        except (OSError, OverflowError) as error:
            raise OSError(
                f"port {port} cannot be used ({error}); a server needs {ports[0]} to {ports[-1]}: "
                "stop what uses it, or choose another port"
            ) from None


@contextlib.contextmanager
def _locked(folder: Path):
    import fcntl  # not on Windows, nor is the server

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(
                f"another Milvus server works in {folder}: use that one, or choose another folder"
            ) from None
        yield lock


def _die_with_parent():
    """Return what the new process calls first, to end when this one is killed (Linux only)."""
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return None  # the parent is the thread that started it, and other threads end before
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def main() -> int:
    """Serve until Ctrl-C; return 0, or 1 if that is not possible."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.server", description=__doc__)
    parser.add_argument("--port", type=int, default=19530)
    parser.add_argument("--data-dir", help="default: server in the data folder")
    parser.add_argument("--authorization", action="store_true", help="ask for a token")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Server(options.data_dir, options.port, options.authorization) as server:
            print(_usage(server), flush=True)
            server.wait()
    except KeyboardInterrupt:
        return 0
    except (ImportError, OSError) as error:
        print(error, file=sys.stderr)
    return 1


def _usage(server: Server) -> str:
    ports = f"{server.ports[0]} to {server.ports[-1]}"
    token = "\n    export MILVUS_TOKEN=root:Milvus   # until you change it"
    return f"""Milvus answers at {server.address}, its data is in {server.data_dir}
    make run PARAMS='-p milvus_uri {server.address}'
    export MILVUS_URI={server.address}{token if server.authorization else ""}
Milvus 2.3 listens on every network of this machine, at the ports {ports}, and none of its settings
changes that. --authorization protects the first port only. On a network that you do not trust,
let a firewall close them. Ctrl-C stops it, in up to half a minute."""


if __name__ == "__main__":
    sys.exit(main())
