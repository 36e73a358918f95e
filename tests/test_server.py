"""A real Milvus server: one for all tests here, which asks for a token."""

import socket
import threading

import pytest

from helpers import ImageStore
from helpers.server import Server

pytest.importorskip("milvus", reason="the server's package exists for x86-64 only")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server") / "mit Ümlaut #1"
    with Server(folder, authorization=True) as started:
        yield started
        started.process.kill()  # to end by itself takes it up to half a minute


@pytest.mark.parametrize(
    ("token", "told"), [("", "no token was given"), ("root:wrong", "not right")]
)
def test_a_server_that_wants_another_token_says_so(server, monkeypatch, token, told):
    monkeypatch.setenv("MILVUS_TOKEN", token)
    with pytest.raises(PermissionError, match=rf"{told}.* MILVUS_TOKEN|MILVUS_TOKEN.* {told}") as e:
        ImageStore(server.address)
    assert "wrong" not in str(e.value)


def test_the_right_token_opens_a_server(server, monkeypatch):
    monkeypatch.setenv("MILVUS_TOKEN", "root:Milvus")
    with ImageStore(server.address) as store:
        assert store.count() == 0


def test_a_port_or_a_folder_in_use_is_named(server, tmp_path):
    with pytest.raises(OSError, match=r"cannot be used .* choose another port"):
        Server(tmp_path, server.ports[0]).start()
    with pytest.raises(OSError, match="another Milvus server works in"):
        Server(server.data_dir).start()


@pytest.mark.parametrize(
    "banner", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"]
)
def test_a_port_that_is_no_milvus_is_a_connection_error(banner):
    with socket.create_server(("127.0.0.1", 0)) as other:
        kept = []

        def answer():
            kept.append(other.accept()[0])
            kept[0].sendall(banner)

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(ConnectionError, match="is the address right"):
            ImageStore(f"http://127.0.0.1:{other.getsockname()[1]}")
        kept[0].close()
