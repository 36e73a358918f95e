"""A server on this machine that stands for OpenAI's address of the weights and for the hub."""

import contextlib
import hashlib
import http.server
import re
import threading
from collections.abc import Iterator


class Addresses:
    """What a server answers, and what it was asked for.

    `files` has their contents by path. A path in `gone` answers 404. A path in `cut` breaks off
    after so many bytes, once. Paths in `silent` never answer. Without `ranges`, files are sent
    whole. The hub's files are sent from elsewhere, as it does: a path that begins with /cdn/.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.gone: set[str] = set()
        self.cut: dict[str, int] = {}
        self.silent: set[str] = set()
        self.ranges = True
        self.asked: list[tuple[str, str, str | None]] = []
        self.tokens: dict[str, str | None] = {}
        self.over = threading.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ranges_of(self, path: str) -> list[str | None]:
        """Return the ranges that were asked for, in order."""
        return [range for command, asked, range in self.asked if (command, asked) == ("GET", path)]


class _Handler(http.server.BaseHTTPRequestHandler):
    site: Addresses

    def do_HEAD(self) -> None:
        site, path = self.site, self.path
        site.asked.append((self.command, path, self.headers["Range"]))
        site.tokens[path] = self.headers["Authorization"]
        if path in site.silent:
            site.over.wait()
        content = site.files.get(path.removeprefix("/cdn"))
        if content is None or path in site.gone:
            self.send_error(404)
        elif "/resolve/" in path and not path.startswith("/cdn/"):
            self._redirect(content)
        else:
            self._send(content)

    do_GET = do_HEAD

    def _redirect(self, content: bytes) -> None:
        self.send_response(302)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("X-Linked-Etag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("Location", f"http://localhost:{self.site.port}/cdn{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, content: bytes) -> None:
        asked = self.headers["Range"] if self.site.ranges else None
        start = int(re.findall(r"\d+", asked)[0]) if asked else 0
        if start and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[start : self.site.cut.pop(self.path, None)])

    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def addresses() -> Iterator[Addresses]:
    """Serve until the end of the block."""
    site = Addresses()
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Handler", (_Handler,), {"site": site})
    )
    server.daemon_threads = True
    site.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield site
    finally:
        site.over.set()
        server.shutdown()
        server.server_close()
