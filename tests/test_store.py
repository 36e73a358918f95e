"""What a store promises, in a local file and on a server alike.

Connections, processes and files are in `test_connection`.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pymilvus
import pytest
from pymilvus import DataType

from helpers import ImageStore
from helpers.collection import columns
from helpers.collection import store as store_module
from helpers.collection.columns import image_id
from helpers.collection.filters import Where, near

from .support.processes import TOKEN
from .support.rows import MODEL, ODD_NAMES, TWIN, row


@pytest.fixture(params=["file", "server"])
def store(request, tmp_path, monkeypatch) -> Iterator[ImageStore]:
    if request.param == "file":
        with ImageStore(tmp_path / "milvus.db") as opened:
            yield opened
        return
    address = request.getfixturevalue("server").address
    monkeypatch.setenv("MILVUS_TOKEN", TOKEN)
    name = f"contract_{uuid.uuid4().hex}"
    with ImageStore(address, name) as opened:
        yield opened
    with ImageStore(address) as again:
        again.client.drop_collection(name)


def test_before_the_first_ingestion_there_is_nothing(store):
    assert store.count() == 0
    assert store.properties == {}
    assert store.image_dir is None
    assert list(store.rows(["filepath"])) == []
    assert len(store.sample(9)) == 0
    store.flush()
    store.drop()


def test_writing_a_row_again_replaces_it(filled):
    filled.upsert([row("plain.jpg", width=7)])
    filled.flush()
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


def test_no_message_is_larger_than_a_server_takes():
    """64 MB, with vectors longer than any CLIP's and the longest paths and labels."""
    longest = 32 + sum((column.length or 8) + len(column.name) for column in columns.COLUMNS)
    with_vector = longest + 4 * 2048
    for rows, size in (
        (store_module._SENT, with_vector),
        (store_module._READ, longest),
        (store_module._READ_WITH_VECTORS, with_vector),
    ):
        assert rows * size < 64 << 20


def test_a_thousand_of_the_longest_rows_are_stored_and_read(filled):
    filled.upsert([row(f"{number:04}".ljust(4096, "x"), label="é" * 512) for number in range(1000)])
    assert filled.count() == len(ODD_NAMES) + 1000
    assert len(list(filled.rows(["filepath", "vector"]))) == len(ODD_NAMES) + 1000


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
    remembered |= {"model_content": "c" * 64}
    remembered |= {"image_dir": str(tmp_path), "format": str(columns.FORMAT), "model": "eight"}
    assert remembered.items() <= filled.properties.items()
    assert filled.image_dir == tmp_path


def test_the_collection_remembers_where_matches_begin(filled, tmp_path):
    assert filled.calibration == {}
    filled.keep_calibration({"threshold": 3.5, "templates": ["{}"], "source": "Käfer 😀"})
    filled.keep_calibration({"threshold": 3.0, "templates": ["a {}"]})
    with ImageStore(filled._connection.uri, filled.collection_name) as again:
        assert again.calibration == {"threshold": 3.0, "templates": ["a {}"]}
        assert again.properties["model_name"] == "eight"  # the others are kept
    filled.drop()
    assert filled.calibration == {}


def make_older_collection(store, name, model, folder) -> None:
    """Make a collection as versions did that knew a model by its file alone."""
    known = {"model_name": model.name, "model": model.model_name, "model_dim": str(model.dim)}
    known |= {"model_digest": model.digest, "image_dir": str(folder), "format": "1"}
    store.client.create_collection(name, schema=columns.schema(model.dim), properties=known)


def test_another_model_is_refused_even_of_the_same_name_and_dimension(filled, tmp_path):
    with pytest.raises(ValueError, match=r"Use that model, or choose another collection_name$"):
        filled.open_for(TWIN, tmp_path)


def test_the_same_weights_in_another_file_are_the_same_model(filled):
    resaved = SimpleNamespace(**vars(MODEL) | {"name": "resaved", "digest": "e" * 64})
    assert filled.check_model(resaved)["model_name"] == "eight"
    retrained = SimpleNamespace(**vars(MODEL) | {"content": "f" * 64, "digest": "f" * 64})
    with pytest.raises(ValueError, match="cannot be compared"):
        filled.check_model(retrained)


def test_an_older_collection_knows_its_model_by_the_file_and_learns_the_weights(store, tmp_path):
    make_older_collection(store, store.collection_name, MODEL, tmp_path)
    resaved = SimpleNamespace(**vars(MODEL) | {"digest": "e" * 64})
    for other in (TWIN, resaved):
        with pytest.raises(ValueError, match="cannot be compared"):
            store.check_model(other)
    assert store.check_model(MODEL)["model_digest"] == MODEL.digest
    store.open_for(MODEL, tmp_path)
    assert store.properties["model_content"] == MODEL.content
    assert store.check_model(resaved)["model_digest"] == MODEL.digest


def make_as_the_tutorial(store, auto_id=True, **more) -> None:
    """Make a collection as Milvus's own tutorial does, and fill it with three images."""
    made = {"dimension": 8, "auto_id": auto_id, "enable_dynamic_field": True} | more
    store.client.create_collection(collection_name=store.collection_name, **made)
    for place in range(3):
        vector = np.eye(8)[place].tolist()
        one = {made.get("vector_field_name", "vector"): vector, "filepath": f"./train/{place}.jpg"}
        store.client.insert(store.collection_name, one if auto_id else one | {"id": place})


@pytest.mark.parametrize("auto_id", [True, False])
def test_what_the_tutorial_made_is_searched_but_neither_written_to_nor_deleted(
    store, tmp_path, auto_id
):
    make_as_the_tutorial(store, auto_id)
    store.check_model(MODEL)
    query = np.array([0.8, 0.6, 0, 0, 0, 0, 0, 0], np.float32)
    hits = store.search(query, limit=2, output_fields=["filepath", "label", "width", "vector"])
    assert [hit["filepath"] for hit in hits] == ["./train/0.jpg", "./train/1.jpg"]
    assert [hit["score"] for hit in hits] == pytest.approx([0.8, 0.6], abs=1e-5)
    assert [(hit["label"], hit["width"]) for hit in hits] == [("", 0)] * 2
    assert len({hit["id"] for hit in hits}) == 2
    assert len(list(store.rows(["filepath", "vector", "digest"]))) == store.count() == 3
    assert (store.labels(), len(store.sample(9)), store.find("id", ["a"], ["id"])) == ([], 0, [])
    assert len(store.search(query, 3, filter='filepath like "./train/%"')) == 3
    assert len(store.search(query, 3, group_by="label")) == 1
    for touch in (store.drop, lambda: store.open_for(MODEL, tmp_path)):
        with pytest.raises(ValueError, match=r"not made by this project.*MilvusClient, deletes it"):
            touch()
    told = store.client.describe_collection(store.collection_name)
    assert (told["properties"], store.count()) == ({}, 3)


def test_paths_that_others_wrote_count_from_the_working_directory_or_as_is_said(
    store, tmp_path, monkeypatch
):
    make_as_the_tutorial(store)
    monkeypatch.chdir(tmp_path)
    assert store.image_dir == tmp_path
    with ImageStore(store._connection.uri, store.collection_name, tmp_path / "there") as said:
        assert said.image_dir == Path(said.check_model(MODEL)["image_dir"]) == tmp_path / "there"


def test_a_model_of_another_length_is_refused_whoever_made_the_collection(store):
    make_as_the_tutorial(store)
    with pytest.raises(ValueError, match=r"\(8-d\), not by 'nine' \(9-d\)"):
        store.check_model(SimpleNamespace(**vars(MODEL) | {"name": "nine", "dim": 9}))


@pytest.mark.parametrize(
    "made", [{"metric_type": "L2"}, {"metric_type": "IP"}, {"vector_field_name": "embedding"}]
)
def test_what_others_compare_in_another_way_is_refused_with_the_reason(store, made):
    """Milvus Lite would give other numbers for cosines."""
    make_as_the_tutorial(store, **made)
    with pytest.raises(ValueError, match="no `vector` of float32 with the metric COSINE"):
        store.search(np.eye(8, dtype=np.float32)[0], 1)
    with pytest.raises(ValueError, match="not made by this project"):
        store.drop()


def test_fields_of_others_may_be_fewer_and_their_key_have_any_name(store):
    schema = store.client.create_schema(enable_dynamic_field=False)
    schema.add_field("number", DataType.INT64, is_primary=True)
    schema.add_field("filepath", DataType.VARCHAR, max_length=99)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    store.client.create_collection(store.collection_name, schema=schema)
    one = {"number": 7, "filepath": "/a.jpg", "vector": np.eye(8)[0].tolist()}
    store.client.insert(store.collection_name, one)
    [hit] = store.search(np.eye(8, dtype=np.float32)[0], 1)
    assert (hit["id"], hit["filepath"], hit["camera"]) == (7, "/a.jpg", "")


def test_rows_of_others_without_a_path_are_said(store):
    store.client.create_collection(store.collection_name, dimension=8, auto_id=True)
    store.client.insert(store.collection_name, {"vector": [1.0] * 8, "image": "a.jpg"})
    with pytest.raises(ValueError, match=r"not all rows of collection .* have a filepath"):
        store.search(np.ones(8, np.float32), 1)


@pytest.mark.parametrize("name", ["my-photos", "my photos", "2024", "ferien_é", "", "x" * 256])
def test_a_name_that_a_server_would_refuse_is_refused_on_a_file_too(tmp_path, name):
    with pytest.raises(ValueError, match="letters, digits and _"):
        ImageStore(tmp_path / "milvus.db", name)


def test_another_folder_is_refused_unless_it_is_said_to_have_moved(filled, tmp_path):
    moved = tmp_path / "moved"
    with pytest.raises(ValueError, match=r"holds the images of .*most .* not in .* are now$"):
        filled.open_for(MODEL, moved)
    with ImageStore(filled.shown_uri, filled.collection_name, image_dir=moved) as store:
        store.open_for(MODEL, moved)
        assert store.image_dir == moved


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such names")
@pytest.mark.parametrize(("there", "size", "moved"), [(3, 1, True), (2, 1, False), (5, 2, False)])
def test_a_folder_with_most_of_the_files_is_where_they_are_now(
    filled, tmp_path, there, size, moved
):
    folder = tmp_path / "new place"
    folder.mkdir()
    for name in ODD_NAMES[:there]:
        (folder / name).write_bytes(b"x" * size)
    assert filled.follow(folder) is moved
    assert filled.image_dir == (folder if moved else tmp_path)
    with ImageStore(filled.shown_uri, filled.collection_name) as again:  # it is remembered
        assert again.image_dir == filled.image_dir


def test_the_fields_are_those_of_the_schema_and_of_the_rows(filled):
    filled.upsert([row("another.jpg", colour="red")])
    assert {"id", "vector", "label", "mtime", "colour"} < filled.fields()


def test_a_collection_found_again_can_be_searched(filled, tmp_path):
    filled.close()
    with ImageStore(filled.shown_uri, filled.collection_name) as store:
        assert store.count() == len(ODD_NAMES)
        assert store.search(np.eye(8, dtype=np.float32)[0], limit=1)[0]["filepath"] == "plain.jpg"


def test_a_closed_store_says_so(store):
    store.close()
    store.close()
    with pytest.raises(ValueError, match="was closed"):
        store.count()


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


def test_the_sample_follows_what_this_object_writes_at_once(filled):
    assert len(filled.sample(9)) == len(ODD_NAMES)
    filled.upsert([row("new.jpg")])
    assert len(filled.sample(9)) == len(ODD_NAMES) + 1
    filled.delete([image_id("new.jpg"), image_id("plain.jpg")])
    assert len(filled.sample(9)) == len(ODD_NAMES) - 1
    filled.drop()
    assert len(filled.sample(9)) == 0


def test_the_labels_are_those_that_are_there(store, tmp_path):
    assert store.labels() == []
    store.open_for(MODEL, tmp_path)
    labels = ["b", "a", "", "a", 'with "quotes"']
    store.upsert([row(f"{i}.jpg", label=label) for i, label in enumerate(labels)])
    assert store.labels() == ["a", "b", 'with "quotes"']


def test_labels_are_read_once_until_something_is_written(filled, monkeypatch):
    asked = []
    search = ImageStore.search
    monkeypatch.setattr(
        ImageStore, "search", lambda *given, **more: asked.append(1) or search(*given, **more)
    )

    def labels() -> tuple[list[str], int]:
        asked.clear()
        return store.labels(), len(asked)

    filled.flush()
    with ImageStore(filled._connection.uri, filled.collection_name) as store:
        assert labels() == ([], 1)
        assert labels() == ([], 0)
        filled.upsert([row("plain.jpg", label="a"), row("new.jpg", label='Käfer "😀"')])
        assert filled.labels() == ['Käfer "😀"', "a"]
        filled.flush()
        assert labels() == (['Käfer "😀"', "a"], 1)
        assert labels() == (['Käfer "😀"', "a"], 0)
        filled.upsert([row("plain.jpg", label="b")])  # as many images as before
        filled.flush()
        assert labels() == (['Käfer "😀"', "b"], 1)
        store.upsert([row("plain.jpg", label="c")])
        assert labels() == (['Käfer "😀"', "c"], 1)
    with ImageStore(filled._connection.uri, filled.collection_name) as store:
        store.flush()
        store.client.delete(store.collection_name, ids=[image_id("new.jpg")])  # not by us
        store._waited_for = -1
        assert labels() == (["c"], 1)
        assert labels() == (["c"], 0)


def test_labels_too_many_for_a_server_to_keep_are_read_again(filled):
    """Milvus 2.3 keeps two megabytes with a collection, and then can never delete it."""
    filled.upsert([row(f"{i}.jpg", label=f"{i:03}" + 170 * "é") for i in range(300)])
    filled.flush()
    assert len(filled.labels()) == len(filled.labels()) == 300
    assert "labels" not in filled.properties


def test_labels_are_told_where_a_collection_may_not_be_changed(filled, monkeypatch):
    def refuse(*args, **more):
        raise pymilvus.MilvusException(message="this role may not")

    filled.upsert([row("new.jpg", label="a")])
    filled.flush()
    monkeypatch.setattr(filled.client, "alter_collection_properties", refuse)
    assert filled.labels() == filled.labels() == ["a"]


def test_grouping_by_what_is_no_field_is_a_value_error(filled):
    with pytest.raises(ValueError, match="cannot be grouped by 'nothing', only by filepath, label"):
        filled.search(np.ones(8, np.float32), limit=1, group_by="nothing")


def test_a_value_that_a_server_repeats_is_left_out(filled, monkeypatch):
    """Milvus 2.3 gives some groups several times where a filter leaves few."""
    asked = []

    def repeating(filter, fields, limit, *offset, **more):
        asked.append(limit)
        labels = ["a", "b", "a", "b", "c", "a", "d"]
        return [{"label": label, "id": n} for n, label in enumerate(labels[:limit])]

    monkeypatch.setattr(filled, "_search", repeating)
    found = filled.search(np.ones(8, np.float32), limit=2, offset=1, group_by="label")
    assert [(hit["label"], hit["id"]) for hit in found] == [("b", 1), ("c", 4)]
    assert asked == [3, 6]


def test_more_are_asked_for_until_enough_are_distinct(filled, monkeypatch):
    asked = []

    def ask(filter, fields, limit, *offset, **more):
        asked.append(limit)
        return [{"id": n} for n in range(min(limit, 120))]

    def first_of_a_kind(hits):
        return [hit for hit in hits if hit["id"] % 30 == 0]

    monkeypatch.setattr(filled, "_search", ask)
    vector = np.ones(8, np.float32)
    found = filled.search(vector, 3, 1, distinct=first_of_a_kind)
    assert [hit["id"] for hit in found] == [30, 60, 90]
    assert asked == [4, 8, 16, 32, 64, 128]
    asked.clear()
    assert len(filled.search(vector, 100, distinct=first_of_a_kind)) == 4
    assert asked == [100, 200]


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


def test_a_collection_of_a_later_format_is_refused_and_kept(filled, tmp_path):
    later = str(columns.FORMAT + 1)
    filled.client.alter_collection_properties(filled.collection_name, {"format": later})
    for use in (
        lambda: filled.open_for(MODEL, tmp_path),
        lambda: list(filled.rows(["filepath"])),
        lambda: filled.check_model(MODEL),
        filled.drop,
    ):
        with pytest.raises(ValueError, match=rf"rows of format {later}.*update this project"):
            use()
    assert filled.client.has_collection(filled.collection_name)


@pytest.mark.parametrize("made_in", range(columns.FORMAT + 1))
def test_a_collection_of_each_format_so_far_is_read(filled, made_in):
    properties = {"format": str(made_in)}
    filled.client.alter_collection_properties(filled.collection_name, properties)
    assert len(list(filled.rows(["filepath", "format"]))) == 5


def test_a_collection_takes_on_the_format_that_is_written_to_it(filled, tmp_path):
    filled.client.alter_collection_properties(filled.collection_name, {"format": "0"})
    filled.open_for(MODEL, filled.image_dir)
    told = filled.client.describe_collection(filled.collection_name)["properties"]
    assert told["format"] == str(columns.FORMAT)
    assert filled.properties["model_name"] == MODEL.name


def test_of_places_more_are_asked_for_until_enough_are_near(store, tmp_path):
    store.open_for(MODEL, tmp_path)
    vectors = np.eye(8)[0] + 0.01 * np.arange(40)[:, None] * np.eye(8)[1]  # the first is nearest
    corner, circle = (2.5, 2.5), (0.0, 2.5)
    places = [corner if i < 30 else circle for i in range(40)]
    store.upsert(
        [
            row(f"{i}", vectors[i], latitude=lat, longitude=lon, label=["even", "odd"][i % 2])
            for i, (lat, lon) in enumerate(places)
        ]
    )
    where = Where({"place": near(0, 0, km=300)})
    asked = {"filter": where.expression, "within": where.within}

    def found(limit, offset=0, **more):
        hits = store.search(np.eye(8)[0], limit, offset, **asked, **more)
        return [int(hit["filepath"]) for hit in hits]

    assert len(store.search(np.eye(8)[0], 40, filter=asked["filter"])) == 40  # all are in the box
    assert found(3) == [30, 31, 32]
    assert found(3, offset=2) == [32, 33, 34]
    assert found(99) == list(range(30, 40))
    assert found(9, group_by="label") == [30, 31]


def test_groups_are_made_here_where_milvus_cannot(store, tmp_path, monkeypatch):
    without = [column for column in columns.COLUMNS if column.name != "camera"]
    with monkeypatch.context() as earlier:
        earlier.setattr(columns, "COLUMNS", without)
        store.open_for(MODEL, tmp_path)
    vectors = np.eye(8)
    cameras = ["A", "B", "A", "B", "C"]
    store.upsert([row(f"{i}", vectors[i], camera=c, latitude=i % 2) for i, c in enumerate(cameras)])
    query = np.array([0.9, 0.4, 0.15, 0.08, 0.02, 0, 0, 0])
    for field, expected in {"camera": "014", "latitude": "01"}.items():
        found = store.search(query / np.linalg.norm(query), 9, group_by=field)
        assert "".join(hit["filepath"] for hit in found) == expected
