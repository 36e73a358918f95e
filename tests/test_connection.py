"""How a database is opened: by several processes at once, after a kill, and where it cannot be."""

import errno
import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import grpc
import pytest
from milvus_lite.adapter.grpc.server import start_server_in_thread

from helpers import ImageStore
from helpers.collection import connection

from .support.processes import unprivileged
from .support.rows import ODD_NAMES, row


def test_two_stores_of_one_process_share_the_database(filled, tmp_path):
    with ImageStore(tmp_path / "milvus.db") as other:
        assert other.count() == len(ODD_NAMES)
    assert filled.count() == len(ODD_NAMES)


OTHER_NOTEBOOK = """
    import sys
    from helpers import ImageStore
    store = ImageStore(sys.argv[1])
    for line in sys.stdin:
        print(store.count(), flush=True)
"""


@pytest.fixture
def notebook(tmp_path):
    """Start other processes that open the database and count its images when asked."""
    started = []

    def start() -> subprocess.Popen:
        script = [sys.executable, "-c", textwrap.dedent(OTHER_NOTEBOOK), tmp_path / "milvus.db"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(script, text=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ask(process: subprocess.Popen) -> str:
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_two_notebooks_side_by_side_both_work_whichever_ends_first(filled, tmp_path, notebook):
    other = notebook()
    assert ask(other) == "5"
    filled.upsert([row("new.jpg")])
    assert ask(other) == "6"
    filled.close()
    assert ask(other) == "6"  # it has opened the database itself
    with ImageStore(tmp_path / "milvus.db") as again:
        assert again.count() == 6
        other.kill()
        other.wait()
        assert again.count() == 6


def test_two_notebooks_that_start_at_once_both_open_the_new_database(notebook):
    pair = [notebook(), notebook()]
    assert [ask(process) for process in pair] == ["0", "0"]


def test_a_database_left_by_a_killed_process_opens(filled, tmp_path, notebook):
    filled.close()
    other = notebook()
    assert ask(other) == "5"
    assert (tmp_path / "milvus.db.address").exists()
    other.kill()
    other.wait()
    with ImageStore(tmp_path / "milvus.db") as store:
        assert store.count() == 5


def mute(port: int, folder: Path) -> socket.socket:
    return socket.create_server(("127.0.0.1", port))  # accepts, and never answers


@contextmanager
def web_server(port: int, folder: Path):
    handler = http.server.BaseHTTPRequestHandler
    with http.server.HTTPServer(("127.0.0.1", port), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


@contextmanager
def other_database(port: int, folder: Path):
    """Serve another database, with a collection of the same name."""
    server, database, _ = start_server_in_thread(str(folder / "other.db"), port=port)
    with ImageStore(f"http://127.0.0.1:{port}") as store:
        store.client.create_collection(store.collection_name, dimension=8, auto_id=True)
    yield
    server.stop(grace=0)
    database.close()


OTHERS = [mute, web_server, other_database]


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: other.__name__)
def test_the_file_is_opened_whoever_took_the_port_of_its_owner(filled, tmp_path, notebook, other):
    filled.close()
    owner = notebook()
    assert ask(owner) == "5"
    address = (tmp_path / "milvus.db.address").read_text()
    with ImageStore(tmp_path / "milvus.db") as guest:
        assert guest.count() == 5
        owner.kill()
        owner.wait()
        with other(int(address.rsplit(":")[-1]), tmp_path):
            assert guest.count() == 5
            with ImageStore(tmp_path / "milvus.db") as fresh:
                assert fresh.count() == 5
            assert guest.properties["model_name"] == "eight"
    assert not (tmp_path / "milvus.db.address").exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows locks in another way")
@pytest.mark.parametrize("other", OTHERS, ids=lambda other: other.__name__)
def test_an_address_of_before_is_not_believed_while_somebody_else_opens_the_database(
    filled, tmp_path, other, monkeypatch
):
    """Be it another notebook that has not written its own yet, or a program that writes none."""
    import fcntl

    filled.close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "milvus.db.address").write_text(f"http://127.0.0.1:{port}")
    monkeypatch.setattr(connection, "_PATIENCE", 0.3)
    with ExitStack() as opened:
        opened.enter_context(other(port, tmp_path))
        lock = opened.enter_context((tmp_path / "milvus.db" / "LOCK").open("ab"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConnectionError, match="held by another process, which does not"):
            ImageStore(tmp_path / "milvus.db")


def test_a_guest_knows_its_host_without_asking_it(filled, tmp_path, notebook, monkeypatch):
    filled.close()
    assert ask(notebook()) == "5"
    with ImageStore(tmp_path / "milvus.db") as guest:
        client = guest.client
        monkeypatch.setattr(socket, "create_connection", None)
        assert guest.client is client


def test_a_copy_made_while_the_database_is_open_is_a_database_of_its_own(filled, tmp_path):
    filled.flush()
    shutil.copytree(tmp_path / "milvus.db", tmp_path / "copy.db")
    shutil.copy(tmp_path / "milvus.db.address", tmp_path / "copy.db.address")
    with ImageStore(tmp_path / "copy.db") as copy:
        copy.upsert([row("new.jpg")])
        assert (copy.count(), filled.count()) == (6, 5)


@pytest.mark.skipif(os.name != "posix", reason="Windows locks in another way")
def test_a_drive_without_locks_is_not_called_a_process_that_holds_it(tmp_path, monkeypatch):
    def no_lock(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_lock)
    monkeypatch.setattr(connection, "_PATIENCE", 0.3)
    with pytest.raises(ConnectionError, match=r"milvus.db cannot be opened: .*No locks available"):
        ImageStore(tmp_path / "milvus.db")


class Lost(grpc.RpcError):
    """What gRPC raises for a call that did not end well."""

    def __init__(self, status: grpc.StatusCode):
        self.code = lambda: status
        self.details = lambda: "details"


def test_a_call_that_takes_too_long_accuses_no_process(filled, monkeypatch):
    def slow(*args, **more):
        raise Lost(grpc.StatusCode.DEADLINE_EXCEEDED)

    monkeypatch.setattr(filled.client, "query", slow)
    with pytest.raises(ConnectionError, match=r"could not be counted at .* longer than 120 s:"):
        filled.count()


def test_a_filter_is_not_blamed_for_a_process_that_ended(filled, monkeypatch):
    def lost(*args, **more):
        raise connection.MilvusException(message="lost") from Lost(grpc.StatusCode.UNAVAILABLE)

    monkeypatch.setattr(filled.client, "search", lost)
    with pytest.raises(ConnectionError, match=r"could not be searched at .*ended or hangs: try"):
        filled.search([1] + [0] * 7, 1, filter='label == ""')


def test_a_port_that_never_answers_is_no_server(monkeypatch):
    monkeypatch.setattr(connection, "_CONNECT", 0.5)
    with closing(mute(0, Path())) as port, pytest.raises(ConnectionError, match="is the server"):
        ImageStore(f"http://127.0.0.1:{port.getsockname()[1]}")


def test_a_file_of_milvus_lite_2_is_refused(tmp_path):
    (tmp_path / "milvus.db").write_bytes(b"SQLite format 3")
    with pytest.raises(ValueError, match=r"milvus.db is a file; .*version 2"):
        ImageStore(tmp_path / "milvus.db")
    assert (tmp_path / "milvus.db").read_bytes() == b"SQLite format 3"


def test_a_folder_with_other_things_is_not_made_a_database(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "dog.jpg").touch()
    with pytest.raises(ValueError, match="photos is a folder with other things"):
        ImageStore(tmp_path / "photos")
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["dog.jpg"]


def test_an_address_without_http_is_not_taken_for_a_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="write http://localhost:19530"):
        ImageStore("localhost:19530")


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows cannot stop a process")
def test_a_process_that_holds_the_database_and_hangs_is_named(filled, tmp_path, notebook):
    filled.close()
    holder = notebook()
    assert ask(holder) == "5"
    holder.send_signal(signal.SIGSTOP)
    os.waitpid(holder.pid, os.WUNTRACED)  # until then a thread of it may still answer
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(connection, "_PATIENCE", 0.5)
        with pytest.raises(ConnectionError, match="held by another process, which does not"):
            ImageStore(tmp_path / "milvus.db")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone for the database does not exist"):
        ImageStore(tmp_path / "gone" / "milvus.db")


def test_a_folder_that_may_not_be_written_is_named(open_folder):
    with unprivileged(), pytest.raises(PermissionError, match="may not be written"):
        ImageStore(open_folder / "milvus.db")
    assert not (open_folder / "milvus.db").exists()


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "milvus_lite.server_manager", None)
    with pytest.raises(ModuleNotFoundError, match="pip install milvus-lite"):
        ImageStore(tmp_path / "milvus.db")


@pytest.mark.skipif(os.name != "posix", reason="Windows words it differently")
def test_a_broken_database_is_not_called_locked(tmp_path):
    (tmp_path / "milvus.db" / "LOCK").mkdir(parents=True)
    with pytest.raises(ConnectionError, match=r"milvus.db cannot be opened: .*directory"):
        ImageStore(tmp_path / "milvus.db")


def test_a_server_that_is_not_there_is_a_connection_error_without_the_token(monkeypatch, capfd):
    monkeypatch.setenv("MILVUS_TOKEN", "geheim")
    with pytest.raises(ConnectionError, match=r"answers at http://…@127\.0\.0\.1:9") as e:
        ImageStore("http://root:geheim@127.0.0.1:9")
    assert "geheim" not in f"{e.value!r}{e.value.__cause__}{capfd.readouterr()}"


def test_an_address_of_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"ftp://host: expected a path or http"):
        ImageStore("ftp://host")


def test_the_same_code_speaks_to_a_server_by_its_address(filled, tmp_path):
    address = (tmp_path / "milvus.db.address").read_text()
    with ImageStore(address) as store:
        assert store.count() == len(ODD_NAMES)
        assert "127.0.0.1" in repr(store)


@pytest.mark.parametrize("name", ["http_proxy", "https_proxy", "grpc_proxy", "all_proxy"])
def test_a_proxy_in_the_environment_is_not_asked_for_this_machine(tmp_path, name):
    """gRPC honours it even for 127.0.0.1; and it is read when a channel is made."""
    script = """
        import sys
        from helpers import ImageStore
        with ImageStore(sys.argv[1]) as store:
            address = store.client._config.uri
            for host in ("127.0.0.1", "localhost"):
                with ImageStore(address.replace("127.0.0.1", host)) as other:
                    print(store.count(), other.count())
    """
    env = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    command = [sys.executable, "-c", textwrap.dedent(script), tmp_path / "milvus.db"]
    env |= {name: "http://127.0.0.1:9"}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.stdout == "0 0\n" * 2, done.stderr


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "restored from a backup"])
def test_a_database_that_is_not_the_one_that_was_opened_is_said(filled, tmp_path, replaced):
    filled.flush()
    database = tmp_path / "milvus.db"
    shutil.copytree(database, tmp_path / "backup.db")
    shutil.rmtree(database)
    if replaced:
        shutil.copytree(tmp_path / "backup.db", database)
    with pytest.raises(ConnectionError, match="was deleted or replaced while it was open"):
        filled.count()
    with ImageStore(database) as again:
        assert again.count() == (len(ODD_NAMES) if replaced else 0)


@pytest.mark.parametrize("text", ["http://10.0.0.1:80", "nonsense", "", "\udcff", "http://[::1"])
def test_an_address_file_that_is_not_ours_is_not_believed(tmp_path, text):
    (tmp_path / "milvus.db.address").write_bytes(os.fsencode(text))
    with ImageStore(tmp_path / "milvus.db") as store:
        assert store.count() == 0


def test_an_address_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "milvus.db.address").mkdir()
    with pytest.raises(PermissionError, match=r"milvus.db.address may not be written .*: delete"):
        ImageStore(tmp_path / "milvus.db")
    (tmp_path / "milvus.db.address").rmdir()
    ImageStore(tmp_path / "milvus.db").close()  # it was let go of


def test_nothing_lies_about_after_closing(tmp_path):
    ImageStore(tmp_path / "milvus.db").close()
    assert os.listdir(tmp_path) == ["milvus.db"]


def test_the_address_in_the_environment_may_be_a_path(tmp_path):
    """pymilvus reads MILVUS_URI when it is imported, and refuses a path."""
    script = """
        import os
        from helpers import ImageStore, Settings
        uri = Settings.resolve().milvus_uri
        with ImageStore(uri) as store:
            print(store.count(), uri == os.environ["MILVUS_URI"])
    """
    env = os.environ | {"MILVUS_URI": str(tmp_path / "milvus.db")}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], env=env, capture_output=True, text=True
    )
    assert done.stdout == "0 True\n", done.stderr
