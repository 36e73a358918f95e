"""Count the requests that really reach Milvus."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

PREFACE = 24  # bytes that a client of HTTP/2 sends first
HEADERS = 1  # the kind of frame that begins a request


class Wire:
    """What passed through: `requests` counts gRPC's, `address` is where to connect."""

    def __init__(self, address: str, port: int) -> None:
        self.address, self.requests = address, 0
        self._port = port

    def carry(self, client: socket.socket) -> None:
        """Pass everything on, both ways, and count; either side may hang up."""
        seen, started = b"", False
        with (
            contextlib.suppress(OSError),
            client,
            socket.create_connection(("127.0.0.1", self._port)) as milvus,
        ):
            threading.Thread(target=_copy, args=(milvus, client), daemon=True).start()
            while data := client.recv(1 << 16):
                seen += data
                if not started and len(seen) >= PREFACE:
                    seen, started = seen[PREFACE:], True
                while started and len(seen) >= 9 + int.from_bytes(seen[:3]):
                    self.requests += seen[3] == HEADERS
                    seen = seen[9 + int.from_bytes(seen[:3]) :]
                milvus.sendall(data)  # last: the answer may come before the next line


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)


@contextlib.contextmanager
def counted(address: str) -> Iterator[Wire]:
    """Go between a client and the Milvus at an address of this machine, and count; yield it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = Wire(f"http://127.0.0.1:{listener.getsockname()[1]}", urlsplit(address).port)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client = listener.accept()[0]
                    threading.Thread(target=wire.carry, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield wire
        listener.shutdown(socket.SHUT_RDWR)
