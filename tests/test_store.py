import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from pymilvus import MilvusClient

from helpers import ImageStore, connection
from helpers import store as store_module
from helpers.store import image_id

from .support.processes import unprivileged
from .support.rows import MODEL, TWIN, row

ODD_NAMES = ["plain.jpg", 'it\'s "quoted".jpg', "line\nbreak.jpg", "tab\t\\.jpg", "😀 <script>.jpg"]


@pytest.fixture
def filled(store, tmp_path):
    store.open_for(MODEL, tmp_path)
    store.upsert([row(name, vector) for name, vector in zip(ODD_NAMES, np.eye(8), strict=False)])
    store.flush()
    return store


def test_before_the_first_ingestion_there_is_nothing(store):
    assert store.count() == 0
    assert not store.exists()
    assert store.image_dir is None
    assert list(store.rows(["filepath"])) == []
    assert len(store.sample(9)) == 0
    store.flush()
    store.drop()


def test_a_key_is_32_hex_digits_of_the_path():
    assert image_id("a/b.jpg") == image_id("a/b.jpg") != image_id("a/c.jpg")
    assert len(image_id("😀")) == 32
    assert int(image_id("😀"), 16) >= 0


def test_writing_a_row_again_replaces_it(filled):
    filled.upsert([row("plain.jpg", width=7)])
    assert filled.count() == len(ODD_NAMES)
    assert {r["filepath"]: r["width"] for r in filled.rows(["filepath", "width"])}["plain.jpg"] == 7


def test_rows_come_back_whole_whatever_their_names(filled):
    assert sorted(r["filepath"] for r in filled.rows(["filepath"])) == sorted(ODD_NAMES)
    assert len(list(filled.rows(["filepath"], limit=2))) == 2


def test_rows_can_be_deleted_whatever_their_names(filled):
    filled.delete([image_id(name) for name in ODD_NAMES[1:]])
    assert [r["filepath"] for r in filled.rows(["filepath"])] == ["plain.jpg"]
    filled.delete([])
    assert filled.count() == 1


def test_more_rows_than_one_message_holds_are_all_stored_and_read(store, tmp_path):
    store.open_for(MODEL, tmp_path)
    store.upsert([row(f"{i}.jpg") for i in range(2500)])
    assert store.count() == 2500
    assert len({r["filepath"] for r in store.rows(["filepath"])}) == 2500


def test_a_message_holds_no_more_than_so_many_bytes(filled, monkeypatch):
    upsert, sent = MilvusClient.upsert, []
    monkeypatch.setattr(store_module, "_MESSAGE_BYTES", 100_000)
    monkeypatch.setattr(
        MilvusClient, "upsert", lambda c, name, rows: (sent.append(rows), upsert(c, name, rows))[1]
    )
    longest = [row(f"{number:04}".ljust(4096, "x")) for number in range(40)]
    filled.upsert(longest)
    assert filled.count() == len(ODD_NAMES) + 40
    assert max(sum(len(str(r)) for r in rows) for rows in sent) <= 100_000
    assert len(sent) < 10


def test_a_collection_whose_making_was_killed_is_made_up_for(store, tmp_path, monkeypatch):
    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ImageStore, "_make_index", killed)
        with pytest.raises(KeyboardInterrupt):
            store.open_for(MODEL, tmp_path)
    assert store.client.list_indexes(store.collection_name) == []
    store.open_for(MODEL, tmp_path)
    store.upsert([row("plain.jpg")])
    assert store.search(np.eye(8, dtype=np.float32)[0], limit=1)[0]["filepath"] == "plain.jpg"
    assert len(store.client.list_indexes(store.collection_name)) == 1


def test_the_nearest_come_first_with_their_cosine(filled):
    query = np.array([0.8, 0.6, 0, 0, 0, 0, 0, 0], np.float32)
    hits = filled.search(query, limit=2)
    assert [hit["filepath"] for hit in hits] == ODD_NAMES[:2]
    assert [hit["score"] for hit in hits] == pytest.approx([0.8, 0.6], abs=1e-5)
    assert filled.search(query, limit=1, offset=1)[0]["filepath"] == ODD_NAMES[1]


def test_a_filter_leaves_out_no_image_that_it_lets_through(store, tmp_path):
    rng = np.random.default_rng(0)
    narrow = 1 + 0.05 * rng.normal(size=(500, 8))  # as CLIP's vectors are: all much alike
    vectors = narrow / np.linalg.norm(narrow, axis=1, keepdims=True)
    store.open_for(MODEL, tmp_path)
    store.upsert([row(f"{i}", v, label=f"{i // 10}") for i, v in enumerate(vectors)])
    store.flush()
    found = [len(store.search(vectors[0], 10, filter=f'label == "{i}"')) for i in range(50)]
    assert found == [10] * 50


def test_a_filter_that_milvus_refuses_is_a_value_error(filled):
    with pytest.raises(ValueError, match="refused the filter 'label =='"):
        filled.search(np.ones(8, np.float32), limit=1, filter="label ==")


def test_the_collection_remembers_its_model_and_folder(filled, tmp_path):
    remembered = {"model_name": "eight", "model_dim": "8", "model_digest": "a" * 64}
    assert filled.properties == remembered | {"image_dir": str(tmp_path)}
    assert filled.image_dir == tmp_path


def test_another_model_is_refused_even_of_the_same_name_and_dimension(filled, tmp_path):
    with pytest.raises(ValueError, match=r"another collection_name, or ingest with recreate=True"):
        filled.open_for(TWIN, tmp_path)


def test_a_collection_that_is_not_ours_is_neither_searched_nor_dropped(store, tmp_path):
    store.client.create_collection(store.collection_name, dimension=8)
    for touch in (store.drop, lambda: store.open_for(MODEL, tmp_path)):
        with pytest.raises(ValueError, match="was not made by this project"):
            touch()
    assert store.exists()


@pytest.mark.parametrize("name", ["my-photos", "my photos", "2024", "ferien_é", "", "x" * 256])
def test_a_name_that_a_server_would_refuse_is_refused_on_a_file_too(tmp_path, name):
    with pytest.raises(ValueError, match="letters, digits and _"):
        ImageStore(tmp_path / "milvus.db", name)


def test_another_folder_is_refused_unless_it_is_said_to_have_moved(filled, tmp_path):
    moved = tmp_path / "moved"
    with pytest.raises(ValueError, match=r"holds the images of .*recreate=True"):
        filled.open_for(MODEL, moved)
    with ImageStore(tmp_path / "milvus.db", image_dir=moved) as store:
        store.open_for(MODEL, moved)
        assert store.image_dir == moved


def test_a_collection_found_again_can_be_searched(filled, tmp_path):
    filled.close()
    with ImageStore(tmp_path / "milvus.db") as store:
        assert store.count() == len(ODD_NAMES)
        assert store.search(np.eye(8, dtype=np.float32)[0], limit=1)[0]["filepath"] == "plain.jpg"


def test_two_stores_of_one_process_share_the_database(filled, tmp_path):
    with ImageStore(tmp_path / "milvus.db") as other:
        assert other.count() == len(ODD_NAMES)
    assert filled.count() == len(ODD_NAMES)


def test_a_closed_store_says_so(store):
    store.close()
    store.close()
    with pytest.raises(ValueError, match="was closed"):
        store.count()


OTHER_NOTEBOOK = """
    import sys
    from helpers import ImageStore, connection
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


def test_nothing_lies_about_after_closing(tmp_path):
    ImageStore(tmp_path / "milvus.db").close()
    assert os.listdir(tmp_path) == ["milvus.db"]


def test_a_sample_is_random_but_always_the_same(store, tmp_path):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3000, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store.open_for(MODEL, tmp_path)
    store.upsert([row(f"{i:04}.jpg", v, size=i) for i, v in enumerate(vectors)])
    sample = store.sample(500)
    assert sample.shape == (500, 8)
    assert sample.dtype == np.float32
    assert np.array_equal(sample, store.sample(500))
    places = [int((vectors @ vector).argmax()) for vector in sample]
    assert len(set(places)) == 500
    assert 1300 < np.mean(places) < 1700  # 1,500 with a standard error of 39
    assert len(store.sample(5000)) == 3000


def test_the_labels_are_those_that_are_there(store, tmp_path):
    assert store.labels() == []
    store.open_for(MODEL, tmp_path)
    labels = ["b", "a", "", "a", 'with "quotes"']
    store.upsert([row(f"{i}.jpg", label=label) for i, label in enumerate(labels)])
    assert store.labels() == ["a", "b", 'with "quotes"']


def test_grouping_by_what_is_no_field_is_a_value_error(filled):
    with pytest.raises(ValueError, match="refused to group by 'nothing'"):
        filled.search(np.ones(8, np.float32), limit=1, group_by="nothing")


def test_only_the_first_search_after_a_write_waits_for_it(filled, monkeypatch):
    """On a server waiting takes 0.2 to 0.4 seconds, each time."""
    levels = []
    search = filled.client.search

    def spy(*arguments, consistency_level, **more):
        levels.append(consistency_level)
        return search(*arguments, **more)

    monkeypatch.setattr(filled.client, "search", spy)
    for _ in range(2):
        filled.search(np.ones(8, np.float32), limit=1)
    filled.upsert([row("new.jpg")])
    filled.delete([image_id("plain.jpg")])
    for _ in range(2):
        filled.search(np.ones(8, np.float32), limit=1)
    assert levels == ["Strong", "Bounded", "Strong", "Bounded"]


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
