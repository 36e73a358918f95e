"""What a row is: the columns agree with the collection, and one more is one line here."""

import itertools

import numpy as np
import pytest
from PIL import Image
from pymilvus import DataType

from helpers import ImageStore, ingest, ingestion, search
from helpers.collection import columns
from helpers.collection.columns import Column, image_id, key_range
from helpers.images import pictures

from .support.rows import MODEL


def test_a_key_is_32_hex_digits_of_the_path():
    assert image_id("a/b.jpg") == image_id("a/b.jpg") != image_id("a/c.jpg")
    assert len(image_id("😀")) == 32
    assert int(image_id("😀"), 16) >= 0


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 64, 1000])
def test_ranges_of_keys_meet_without_gap_or_overlap(parts):
    ranges = [key_range(part, parts) for part in range(parts)]
    assert (ranges[0][0], ranges[-1][1]) == ("0" * 32, "f" * 32)
    for (_, last), (first, _) in itertools.pairwise(ranges):
        assert int(first, 16) == int(last, 16) + 1
    assert all(len(key) == 32 for pair in ranges for key in pair)
    sizes = [int(last, 16) - int(first, 16) for first, last in ranges]
    assert max(sizes) - min(sizes) <= 1


@pytest.fixture
def one_more(monkeypatch):
    """How many stars a photo has, say: a line in `columns`, and a fact of an open image."""
    later = columns.FORMAT + 1
    stars = Column("stars", DataType.INT64, -1, shown=True)
    facts = pictures.facts_of

    def read(image: Image.Image) -> dict:
        return facts(image) | ({"stars": 5} if image.width > 40 else {})

    monkeypatch.setattr(columns, "COLUMNS", [*columns.COLUMNS, stars])
    monkeypatch.setattr(pictures, "facts_of", read)
    for module in (columns, ingestion):
        monkeypatch.setattr(module, "FORMAT", later)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, width in {"starred.png": 60, "plain.png": 30}.items():
        Image.effect_noise((width, 30), 80).save(folder / name)
    return folder


def test_a_field_more_is_stored_shown_filtered_and_written(
    one_more, photos, encoder, store, tmp_path
):
    ingest(photos, encoder, store, progress=False)
    assert {r["filepath"]: r["stars"] for r in store.rows(["filepath", "stars"])} == {
        "starred.png": 5,
        "plain.png": -1,
    }
    found = search("x", encoder, store, where={"stars": (3, 9)})
    assert [(hit.filepath, hit.stars) for hit in found] == [("starred.png", 5)]
    assert found.to_frame().columns[-1] == "stars"
    assert ",stars\n" in found.to_csv(tmp_path / "hits.csv").read_text(encoding="utf-8-sig")
    assert len(search("x", encoder, store, group_by="stars")) == 2
    described = store.client.describe_collection(store.collection_name)
    assert "stars" in {field["name"] for field in described["fields"]}


def test_a_collection_from_before_lacks_the_field_and_takes_it_on(photos, encoder, store, request):
    ingest(photos, encoder, store, limit=1, progress=False)
    request.getfixturevalue("one_more")
    assert [hit.stars for hit in search("x", encoder, store)] == [-1]
    ingest(photos, encoder, store, progress=False)
    assert {hit.filepath: hit.stars for hit in search("x", encoder, store)} == {
        "starred.png": 5,
        "plain.png": -1,
    }


def test_a_row_read_is_filled_up_where_it_is_older():
    [filled] = columns.filled([{"width": 3}], ["width", "label"])
    assert filled == {"width": 3, "label": ""}
    with pytest.raises(KeyError):
        list(columns.filled([{}], ["no field"]))


def test_rows_hold_what_the_schema_asks_for(tmp_path):
    made = columns.row({"filepath": "a/b.jpg", "width": 3}, np.ones(8, np.float32))
    assert made.keys() == {field.name for field in columns.schema(8).fields}
    with ImageStore(tmp_path / "milvus.db") as store:
        store.open_for(MODEL, tmp_path)
        store.upsert([made])
        assert list(store.rows(["filepath", "label"])) == [{"filepath": "a/b.jpg", "label": ""}]


def test_rows_without_a_digest_have_no_content_in_common():
    rows = [{"id": i, "digest": digest} for i, digest in enumerate(["a", "", "b", "a", ""])]
    ids = {
        digest: [row["id"] for row in found] for digest, found in columns.by_digest(rows).items()
    }
    assert ids == {"a": [0, 3], "b": [2]}
