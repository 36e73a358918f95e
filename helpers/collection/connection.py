"""A connection to Milvus: a local file (Milvus Lite), or any server by its address.

Milvus Lite lets only one process open a database. The first one serves it on a port of this
machine, writes the address beside the file, and keeps what it wrote locked. Others connect there.
When the first one ends, so does the lock, and the next call from another opens the file, whoever
has the port by then. Not about collections: that is `store`.
"""

import contextlib
import json
import logging
import os
import re
import sys
import tempfile
import time
import weakref
from collections import Counter
from collections.abc import Callable
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from ..settings import resolve_path, without_password

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its GOAWAY lines on stderr are not errors
_uri = os.environ.pop("MILVUS_URI", None)  # pymilvus reads it on import, and refuses a path
try:
    import grpc
    import pymilvus
    from pymilvus import MilvusClient, MilvusException
finally:
    if _uri is not None:
        os.environ["MILVUS_URI"] = _uri

__all__ = ["Connection", "grpc", "pymilvus", "read_error"]

for noisy in ("pymilvus", "milvus_lite.adapter"):  # they also log what they raise
    logging.getLogger(noisy).setLevel(logging.CRITICAL)

_DEADLINE, _LONG_DEADLINE = 120, 1800  # seconds for a call, and for one that goes through all rows
_LONG = ("Flush", "LoadCollection", "CreateIndex", "GetLoadingProgress", "GetFlushState")
_SERVICE = "milvus.proto.milvus.MilvusService"
_LONG_CALLS = [{"service": _SERVICE, "method": method} for method in _LONG]
_DEADLINES = [
    {"name": [{}], "timeout": f"{_DEADLINE}s"},
    {"name": _LONG_CALLS, "timeout": f"{_LONG_DEADLINE}s"},
]
_CONNECT = 5  # seconds to reach a server, the first time and again
_OPTIONS = {  # for every channel, so that each call from a notebook has a deadline too
    "grpc.service_config": json.dumps({"methodConfig": _DEADLINES}),
    "grpc.use_local_subchannel_pool": 1,  # else a new channel inherits the old one's back-off
}
_SERVER_OPTIONS = _OPTIONS | {  # to tell a server that hangs from a slow call
    "grpc.keepalive_time_ms": 6000,  # a server refuses more than one in 5 s
    "grpc.keepalive_timeout_ms": 4000,
    "grpc.http2.ping_timeout_ms": 4000,  # a minute by default, whatever keepalive says
}
_DIRECT = {"grpc.enable_http_proxy": 0}  # else a lowercase http_proxy is used even for 127.0.0.1
# After pings from an idle process, a local database tells the next client "Too many pings".
_LOCAL_OPTIONS = _OPTIONS | _DIRECT | {"grpc.keepalive_time_ms": 3_600_000}
_PATIENCE = 10.0  # seconds for the process that holds the database to write its address, or to end
_open_files: Counter[Path] = Counter()  # how many connections of this process serve a file
_addresses: dict[Path, IO] = {}  # of these files, where they are written; locked while open


class _Client(MilvusClient):
    """A MilvusClient whose calls that poll Milvus do not wait forever."""

    def load_collection(self, collection_name: str, timeout: float = _LONG_DEADLINE, **more):
        return super().load_collection(collection_name, timeout=timeout, **more)

    def flush(self, collection_name: str, timeout: float = _LONG_DEADLINE, **more):
        return super().flush(collection_name, timeout=timeout, **more)

    def create_index(self, *arguments, timeout: float = _LONG_DEADLINE, **more):
        return super().create_index(*arguments, timeout=timeout, **more)


class Connection:
    """An open connection to Milvus; no call of its client lasts forever.

    Parameters
    ----------
    uri : str or path
        A path (Milvus Lite), or `http(s)://host:port`. The token of a server comes from the
        environment variable `MILVUS_TOKEN`.

    Raises
    ------
    ValueError
        If the address is of another kind, or the path is not a database of Milvus Lite 3.
    FileNotFoundError
        If the database's folder is missing.
    PermissionError
        If the path may not be written, or the server refuses the token.
    ConnectionError
        If nothing answers there.
    ModuleNotFoundError
        If the package `milvus-lite` is missing.
    """

    def __init__(self, uri: str | os.PathLike) -> None:
        self.uri = os.fspath(uri)
        self.shown_uri = without_password(self.uri)
        self.is_file = "://" not in self.uri
        self._client: MilvusClient | None = None
        self._guest_at: str | None = None
        self._closer: Callable[[], object] | None = None
        self._closed = False
        self._identity: tuple[int, int] | None = None
        if self.is_file:
            self._path = _checked_path(self.uri)
        elif not self.uri.startswith(("http://", "https://")):
            raise ValueError(f"{self.shown_uri}: expected a path or http(s)://host:port")
        self.host = "" if self.is_file else urlsplit(self.uri).hostname or ""
        _ = self.client

    @property
    def client(self) -> MilvusClient:
        """The client; opened again if the process that held the database has ended."""
        if self._closed:
            raise ValueError(f"the connection to {self.shown_uri} was closed")
        if self._identity and _identity(self._path) != self._identity:
            self.close()
            raise ConnectionError(
                f"{self._path} was deleted or replaced while it was open. Restart this kernel, or "
                "open the database again; what was written to the old one is gone"
            )
        if self._guest_at and _read_address(self._path) != self._guest_at:
            self._client = self._guest_at = None
        if self._client is None:
            self._client = self._open_file() if self.is_file else self._open_server()
            self._identity = _identity(self._path) if self.is_file else None
        return self._client

    def close(self) -> None:
        """Close the connection; the last one of this process frees the file."""
        self._closed = True
        if self._client is not None:
            self._client.close()
        if self._closer is not None:
            self._closer()

    def _open_server(self) -> MilvusClient:
        direct = _DIRECT if re.fullmatch(r"localhost|127\.[\d.]+|::1", self.host) else {}
        token = os.environ.get("MILVUS_TOKEN", "")
        try:
            client = _Client(
                self.uri, token=token, timeout=_CONNECT, grpc_options=_SERVER_OPTIONS | direct
            )
            client.has_collection("_", timeout=_CONNECT)  # connecting alone needs no token
        except (MilvusException, grpc.RpcError) as error:
            raise self.explained(error, "no Milvus answers") from None  # its cause holds the token
        return client

    def explained(self, error: Exception, what: str) -> OSError:
        """Return one clear error for what pymilvus or gRPC raised, without the token."""
        status, said = read_error(error)
        if status in _REFUSALS:
            given = bool(os.environ.get("MILVUS_TOKEN"))
            why = "the token in MILVUS_TOKEN is not right" if given else "no token was given"
            return PermissionError(
                f"the Milvus at {self.shown_uri} refuses access: {why}. Set the environment "
                "variable MILVUS_TOKEN to user:password or to an API key"
            )
        why = _SILENT[self.is_file] if status in _SILENCES else said
        if status == grpc.StatusCode.DEADLINE_EXCEEDED and self._client:  # it had answered before
            why = f"it takes longer than {_DEADLINE} s: try again when the machine has less to do"
        return ConnectionError(f"{what} at {self.shown_uri}: {why}")

    def _open_file(self) -> MilvusClient:
        deadline = time.monotonic() + _PATIENCE
        while True:
            if address := _serve(self._path):
                self._closer = weakref.finalize(self, _release, self._path)
                return _Client(address, grpc_options=_LOCAL_OPTIONS)
            if address := _read_address(self._path):
                with contextlib.suppress(MilvusException):  # it is ending, or has stopped
                    client = _Client(address, timeout=2, grpc_options=_LOCAL_OPTIONS)
                    self._guest_at = address
                    return client
            if time.monotonic() > deadline:
                raise ConnectionError(
                    f"{self._path} is held by another process, which does not answer: "
                    "end that process (another notebook's kernel?) and try again"
                )
            time.sleep(0.1)


_CONNECT_FAILED = 2  # pymilvus's code when it cannot reconnect
_REFUSALS = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
_SILENCES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_SILENT = {  # what it may be, by whether the database is a file
    True: "its process ended or hangs: try again, or end it (another notebook's kernel?)",
    False: "is the server running, and is the address right?",
}


def read_error(error: BaseException) -> tuple[grpc.StatusCode | None, str]:
    """Return the gRPC status that an error means, if any, and its message."""
    said = getattr(error, "message", "") or getattr(error, "details", str)()
    for cause in (error, error.__cause__, error.__context__):  # pymilvus raises `e from e`
        if isinstance(cause, grpc.RpcError):
            return cause.code(), said
    lost = getattr(error, "code", None) == _CONNECT_FAILED
    return grpc.StatusCode.UNAVAILABLE if lost else None, said


def _checked_path(uri: str) -> Path:
    path = resolve_path(uri)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"the folder {path.parent} for the database does not exist: make it, or choose "
            "another milvus_uri"
        )
    if re.fullmatch(r"[\w.-]+:\d+", path.name):
        raise ValueError(f"{path.name} looks like a server's address: write http://{path.name}")
    inside = os.listdir(path) if path.is_dir() else []
    if inside and not {"collections", "LOCK"} & {*inside}:  # another process may be making the rest
        raise ValueError(
            f"{path} is a folder with other things in it, not a Milvus Lite database: choose "
            "another milvus_uri, such as a file name in it"
        )
    if path.is_file():
        raise ValueError(
            f"{path} is a file; Milvus Lite 3 keeps a database in a folder and cannot open one of "
            "version 2. Choose another milvus_uri, or move the file away and ingest again"
        )
    try:
        tempfile.TemporaryFile(dir=path if path.exists() else path.parent).close()
    except OSError as error:
        raise PermissionError(
            f"{path} may not be written ({error.strerror}): choose another milvus_uri"
        ) from None
    return path


def _serve(path: Path) -> str | None:
    """Serve the database and return its address; None if another process holds it."""
    try:
        from milvus_lite.server_manager import server_manager_instance
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"the package milvus-lite is needed for a local database such as {path}: "
            "pip install milvus-lite"
        ) from error

    logged = BufferingHandler(100)  # the exception, which is not raised; its cause, if of a lock
    logger = logging.getLogger("milvus_lite.server_manager")
    logger.addHandler(logged)
    logger.propagate = False  # it logs a traceback when another process holds the database
    try:
        address = server_manager_instance.start_and_get_uri(str(path))
    finally:
        logger.removeHandler(logged)
    if address:
        _open_files[path] += 1
        _write_address(path, address)
    for fault in filter(None, [each.exc_info and each.exc_info[1] for each in logged.buffer]):
        if not (address or isinstance(fault.__cause__, BlockingIOError | PermissionError)):
            raise ConnectionError(f"{path} cannot be opened: {fault.__cause__ or fault}") from fault
    return address


def _release(path: Path) -> None:
    from milvus_lite.server_manager import server_manager_instance

    _open_files[path] -= 1
    if not _open_files[path]:
        with contextlib.suppress(KeyError, OSError):  # it was not written, or is another user's
            _addresses.pop(path).close()
            _address_file(path).unlink(missing_ok=True)
        server_manager_instance.release_server(str(path))


def _address_file(path: Path) -> Path:
    return path.with_name(path.name + ".address")


def _write_address(path: Path, address: str) -> None:
    """Write where a database is served, once, and keep it locked while this process serves it."""
    try:
        file = _address_file(path).open("ab", buffering=0)
        if _addresses.setdefault(path, file) is file:
            _lock(file)
            file.truncate(0)  # another process may have been killed
            file.write(address.encode())
    except OSError as error:
        _release(path)
        raise PermissionError(
            f"{_address_file(path)} may not be written ({error.strerror}): delete that file, or "
            "choose another milvus_uri"
        ) from None


def _read_address(path: Path) -> str | None:
    """Return where another process serves a database now, if it is on this machine.

    What no living process has locked is not believed: whoever wrote it has ended, and another
    program may have the port. This is asked at each call, and takes a tenth of a millisecond.
    """
    with contextlib.suppress(OSError), _address_file(path).open("rb", buffering=0) as file:
        written = file.read().decode(errors="replace")
        try:
            _lock(file, wait=False)
        except OSError:
            return written if re.fullmatch(r"http://127\.0\.0\.1:\d{1,5}", written) else None
    return None


def _lock(file: IO, wait: bool = True) -> None:
    """Lock a file until it is closed; OSError if nobody waits and another process has locked it."""
    if sys.platform == "win32":
        import msvcrt

        file.seek(1 << 20)  # behind what is written, as others cannot read what is locked
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_SH | fcntl.LOCK_NB)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a folder from another one in its place; None if there is none."""
    with contextlib.suppress(OSError):
        status = path.stat()
        return status.st_dev, status.st_ino
    return None
