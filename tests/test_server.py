"""A real Milvus server: one for all tests here, which asks for a token."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import uuid

import numpy as np
import pytest

from helpers import ImageStore, ingest, list_images
from helpers.collection import columns

from .support.interruption import kill_and_rerun
from .support.processes import ROOT, TOKEN
from .support.rows import MODEL, ODD_NAMES, row
from .support.server import Server, main

AXIS = np.eye(8, dtype=np.float32)[0]


@pytest.mark.parametrize(
    ("token", "told"), [("", "no token was given"), ("root:wrong", "not right")]
)
def test_a_server_that_wants_another_token_says_so(server, monkeypatch, token, told):
    monkeypatch.setenv("MILVUS_TOKEN", token)
    with pytest.raises(PermissionError, match=rf"{told}.* MILVUS_TOKEN|MILVUS_TOKEN.* {told}") as e:
        ImageStore(server.address)
    assert "wrong" not in str(e.value)


def test_the_right_token_opens_a_server(server, monkeypatch):
    monkeypatch.setenv("MILVUS_TOKEN", TOKEN)
    with ImageStore(server.address, "right_token") as store:
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


@pytest.fixture
def mortal(server, tmp_path):
    """A server that a test may kill, and a store on it with five rows."""
    with Server(tmp_path / "server") as started, ImageStore(started.address, "mortal") as store:
        store.open_for(MODEL, tmp_path)
        store.upsert([row(name) for name in ODD_NAMES])
        assert store.count() == 5
        yield started, store
        started.process.kill()


def test_a_server_that_is_killed_is_a_connection_error_and_the_store_goes_on_after_a_restart(
    mortal, capfd
):
    server, store = mortal
    started, told = threading.Event(), []

    def search_until_it_fails():
        with contextlib.suppress(OSError):
            while True:
                store.search(AXIS, limit=1)
                started.set()
        try:
            store.search(AXIS, limit=1)
        except ConnectionError as error:
            told.append(str(error))

    searching = threading.Thread(target=search_until_it_fails)
    searching.start()
    started.wait()
    server.process.kill()
    server.process.wait()  # until then it keeps some of its ports
    searching.join()
    assert "could not be searched at http://127.0.0.1" in told[0]
    assert "is the server running" in told[0]
    server.start()
    assert store.count() == 5
    assert len(store.search(AXIS, limit=9)) == 5
    assert capfd.readouterr().err == ""


def test_an_ingestion_killed_on_a_server_is_finished_by_the_next_run(
    server, drawings, checkpoint, monkeypatch
):
    monkeypatch.setenv("MILVUS_TOKEN", TOKEN)
    [outcome] = kill_and_rerun(drawings, checkpoint, server.address, batch_size=4, kills=1)
    assert outcome["kept"] >= min(4 * outcome["acknowledged"], 50), outcome
    assert outcome["unchanged"], outcome
    assert (outcome["count"], outcome["keys"]) == (50, True), outcome
    assert outcome["cosine"] > 0.999, outcome


@pytest.fixture
def ctrl_c():
    """Let Ctrl-C reach what is started here: a shell's background jobs inherit that it does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("digests", [True, False], ids=["", "a collection from before digests"])
def test_photos_that_moved_are_known_on_a_server(
    server, drawings, encoder, tmp_path, monkeypatch, digests
):
    monkeypatch.setenv("MILVUS_TOKEN", TOKEN)
    folder = shutil.copytree(drawings, tmp_path / "images")
    with ImageStore(server.address, f"moved_{uuid.uuid4().hex}") as store:
        with monkeypatch.context() as patched:
            if not digests:
                without = [column for column in columns.COLUMNS if column.name != "digest"]
                patched.setattr(columns, "COLUMNS", without)
            ingest(folder, encoder, store, progress=False)
        (folder / "red star").rename(folder / "2019")
        for path in list_images(folder):
            os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))
        report = ingest(folder, encoder, store, progress=False)
        known = (report.unchanged, report.moved, report.removed)
        assert known == ((40, 10, 0) if digests else (0, 0, 0))
        (folder / "2019").rename(folder / "2020")
        halves = [ingest(folder, encoder, store, shard=(i, 2), progress=False) for i in (1, 0)]
        assert sum(half.moved for half in halves) == 10
        ingest(folder, encoder, store, prune="all", progress=False)
        assert store.count() == 50


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send one process Ctrl-C")
def test_the_command_says_how_to_use_it_and_ends_cleanly_with_ctrl_c(server, tmp_path, ctrl_c):
    """`server` is here to skip this where none can run."""
    ports = Server(tmp_path / "other").ports
    command = [sys.executable, "-m", "tests.support.server", "--port", str(ports[0])]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command += ["--data-dir", tmp_path / "ü"]
    with subprocess.Popen(command, cwd=ROOT, **pipes) as running:
        said = []
        for line in running.stdout:  # to its end, if it fails
            said.append(line)
            if "Ctrl-C stops it" in line:
                break
        with ImageStore(f"http://127.0.0.1:{ports[0]}") as store:
            assert store.count() == 0
        running.send_signal(signal.SIGINT)
        rest, errors = running.communicate()
    assert said[0].startswith(f"Milvus answers at http://127.0.0.1:{ports[0]}, its data is in ")
    assert f"-p milvus_uri http://127.0.0.1:{ports[0]}" in "".join(said)
    assert (running.returncode, rest, errors) == (0, "", "")


def test_a_missing_package_is_an_error_that_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "milvus", None)
    monkeypatch.setattr(sys, "argv", ["server", "--data-dir", str(tmp_path)])
    assert main() == 1
    assert "pip install milvus==2.3.5" in capsys.readouterr().err
