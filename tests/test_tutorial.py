import http.server
import io
import threading
import time
import zipfile

import pytest

from helpers import fetch_tutorial_images, list_images
from helpers.images import tutorial


def zip_of(names) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return buffer.getvalue()


TUTORIAL = [f"train/class_{c}/{i}.JPEG" for c in range(100) for i in range(10)]
WHOLE = zip_of([*TUTORIAL, "test/class_0/0.JPEG", "reverse_image_search.csv"])


class Handler(http.server.BaseHTTPRequestHandler):
    requests = 0

    def do_GET(self):
        type(self).requests += 1
        name = self.path.strip("/")
        if name == "missing":
            return self.send_error(404)
        body = {
            "page": b"<html>not a zip</html>",
            "escape": zip_of([*TUTORIAL, "../../x"]),
            "other": zip_of(TUTORIAL[:500]),
        }.get(name, WHOLE)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if name == "cut":
            body = body[: len(body) // 2]
        if name == "stalled":
            self.wfile.write(body[:1000])
            self.wfile.flush()
            time.sleep(3)
            return None
        return self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    Handler.requests = 0
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()


def test_the_tutorials_images_are_fetched_once(server, tmp_path):
    train = fetch_tutorial_images(tmp_path, f"{server}/whole")
    assert len(list_images(train)) == 1000
    assert fetch_tutorial_images(tmp_path, f"{server}/whole") == train
    assert Handler.requests == 1
    assert [p.name for p in tmp_path.iterdir()] == ["images"]


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("cut", ConnectionError, "could not be downloaded"),
        ("stalled", ConnectionError, "could not be downloaded"),
        ("missing", ConnectionError, "unpack the zip by hand"),
        ("page", ConnectionError, "not a whole zip"),
        ("other", ValueError, "500 training photos in 50 classes"),
    ],
)
def test_what_does_not_arrive_whole_leaves_nothing(
    server, tmp_path, monkeypatch, name, error, words
):
    monkeypatch.setattr(tutorial, "_TIMEOUT", (1, 1))
    with pytest.raises(error, match=words):
        fetch_tutorial_images(tmp_path / "tutorial", f"{server}/{name}")
    assert list((tmp_path / "tutorial").iterdir()) == []
    fetch_tutorial_images(tmp_path / "tutorial", f"{server}/whole")  # and the next call succeeds


def test_no_entry_of_a_zip_leaves_the_folder(server, tmp_path):
    train = fetch_tutorial_images(tmp_path / "a" / "b", f"{server}/escape")
    assert len(list_images(train)) == 1000
    assert sorted(path.parent for path in tmp_path.rglob("x")) == [train.parent]


def test_no_server_is_a_connection_error(tmp_path):
    with pytest.raises(ConnectionError, match="could not be downloaded"):
        fetch_tutorial_images(tmp_path, "http://127.0.0.1:9/x.zip")


def test_an_extraction_that_was_interrupted_is_not_taken_for_whole(server, tmp_path, monkeypatch):
    def interrupt(self, path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(zipfile.ZipFile, "extractall", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch_tutorial_images(tmp_path, f"{server}/whole")
    assert list(tmp_path.iterdir()) == []
