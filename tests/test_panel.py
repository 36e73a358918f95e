import html
import io
import json
import shlex
import shutil
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from helpers import TEMPLATES, ImageStore, Query, SearchPanel, ingest, list_images, search

NOW = datetime.now(UTC)


@pytest.fixture
def filled(drawings, encoder, store):
    ingest(drawings, encoder, store, progress=False)
    return store


@pytest.fixture
def panel(encoder, filled, tmp_path):
    return SearchPanel(encoder, filled, upload_dir=tmp_path / "uploads")


def tiles(panel) -> list[str]:
    return [tile.children[0].value for tile in panel.results.children]


def upload(panel, name: str, content: bytes) -> None:
    """Do what the browser does when somebody chooses a file."""
    file = {"name": name, "type": "image/png", "size": len(content), "last_modified": NOW}
    panel.upload.value = [file | {"content": memoryview(content)}]


def png(seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_click_shows_as_many_pictures_as_asked_for(panel):
    panel.query.value = "a red star"
    panel.limit.value = 7
    panel.button.click()
    assert len(tiles(panel)) == 7
    assert all(tile.count("<img ") == 1 for tile in tiles(panel))
    assert "a red star: 7 images in" in panel.status.value


def test_enter_in_the_box_searches(panel):
    assert tiles(panel) == []
    panel.query.value = "a fish"  # what the browser sends at Enter
    assert len(tiles(panel)) == 10
    assert not panel.query.continuous_update


def test_a_picture_has_its_score_and_label(panel, encoder, filled):
    panel.query.value = "a fish"
    for tile, hit in zip(tiles(panel), search("a fish", encoder, filled), strict=True):
        assert f"{hit.score:.3f}" in tile
        assert hit.label in tile
        assert hit.filepath in tile


def test_fewer_pictures_leave_none_behind_and_more_come_back(panel):
    panel.query.value = "a fish"
    for limit in (3, 12, 5):
        panel.limit.value = limit
        assert len(tiles(panel)) == limit


def test_all_parts_make_one_query(panel, encoder, filled, drawings):
    path = list_images(drawings)[4]
    panel.image = path
    panel.unlike.value = "a fish"
    panel.templates.value = True
    panel.labels.value = [path.parent.name]
    panel.query.value = "a star"
    expected = search(
        Query(like=["a star", path], unlike=["a fish"]),
        encoder,
        filled,
        where={"label": [path.parent.name]},
        templates=list(TEMPLATES),
    )
    assert panel.found.hits == expected.hits
    assert panel.found.code == expected.code


def test_more_like_this_takes_the_picture_as_the_query(panel, encoder, filled):
    panel.query.value, panel.unlike.value = "a fish", "a star"
    chosen = panel.found[2]
    panel.results.children[2].children[1].click()
    assert (panel.query.value, panel.unlike.value, panel.image) == ("", "", chosen.path)
    assert panel.found.hits == search(chosen.path, encoder, filled).hits
    assert panel.found[0].score == pytest.approx(1, abs=1e-4)
    assert "<img " in panel.picture.value
    panel.query.value = "a fish"
    assert panel.found.query == Query(["a fish", chosen.path], [])
    panel.forget.click()
    assert panel.found.query == Query(["a fish"], [])
    assert panel.picture.value == ""


def test_labels_are_those_of_the_collection_and_filter_it(panel, drawings):
    labels = sorted({path.parent.name for path in list_images(drawings)})
    assert panel.labels.allowed_tags == labels
    panel.query.value = "a fish"
    panel.add_label.value = labels[1]
    assert {hit.label for hit in panel.found} == {labels[1]}
    panel.add_label.value = labels[3]
    assert panel.labels.value == [labels[1], labels[3]]
    panel.limit.value = 50
    assert {hit.label for hit in panel.found} == {labels[1], labels[3]}
    panel.labels.value = []
    assert len({hit.label for hit in panel.found}) == 5


def test_an_uploaded_image_is_the_query_and_can_be_asked_for_again(panel, tmp_path):
    upload(panel, "my dog's <b>.png", png())
    kept = panel.image
    assert kept.parent == tmp_path / "uploads"
    assert kept.read_bytes() == png()
    assert panel.found.query == Query([kept], [])
    assert panel.parameters["query_image"] == kept.as_posix()
    assert panel.parameters["query_text"] == ""
    assert panel.upload.value == ()
    upload(panel, "other.png", png(1))
    assert panel.image.read_bytes() == png(1)
    upload(panel, "my dog's <b>.png", png())
    assert panel.image == kept


@pytest.mark.parametrize("name", ["../../evil.png", "a/b\\c:d?.png", "\0.png", "x" * 300, "😀"])
def test_an_uploads_name_leads_nowhere_else(panel, tmp_path, name):
    upload(panel, name, png())
    assert panel.image.parent == tmp_path / "uploads"
    assert len(panel.found) == 10


def test_an_upload_that_is_no_image_is_refused_and_the_pictures_stay(panel, tmp_path):
    panel.query.value = "a fish"
    before = tiles(panel)
    upload(panel, "words.txt", b"no image at all")
    assert "words.txt" in panel.message.value
    assert "cannot be read as an image" in panel.message.value
    assert tiles(panel) == before
    assert panel.image is None
    assert list((tmp_path / "uploads").iterdir()) == []


def test_an_error_is_shown_and_the_pictures_stay(panel):
    panel.query.value = "a fish"
    before = tiles(panel)
    panel.query.value = "  "
    assert "the query is blank" in panel.message.value
    assert tiles(panel) == before
    panel.query.value = "a star"
    assert panel.message.value == ""


def test_what_is_typed_is_only_text(panel):
    panel.query.value = "<script>alert(1)</script>"
    panel.unlike.value = "</code><script>alert(2)</script>"
    for part in (panel.message, panel.status, panel.code, panel.picture):
        assert "<script>" not in part.value
    assert "&lt;script&gt;" in panel.status.value


def test_an_empty_collection_says_what_to_do(encoder, store):
    panel = SearchPanel(encoder, store, query_text="a star")
    assert "run 02_ingestion" in panel.message.value
    assert tiles(panel) == []


def test_a_filter_that_leaves_nothing_says_so(panel):
    panel.query.value = "a fish"
    panel.labels.allowed_tags = []
    panel.labels.value = ["gone"]
    assert "No image has the label" in panel.message.value
    assert tiles(panel) == []


def test_any_failure_is_seen(panel, store):
    store.close()
    panel.query.value = "a star"
    assert "was closed" in panel.message.value


def test_a_picture_that_is_gone_is_in_the_way_of_nothing(encoder, store, drawings, tmp_path):
    images = tmp_path / "images"
    shutil.copytree(drawings, images)
    ingest(images, encoder, store, progress=False)
    panel = SearchPanel(encoder, store, query_text="a fish")
    gone = panel.found[2]
    gone.path.unlink()
    before = tiles(panel)
    panel.results.children[2].children[1].click()
    assert f"{gone.path} is gone" in html.unescape(panel.message.value)
    assert (panel.image, tiles(panel)) == (None, before)
    panel.query.value = "a star"
    assert "a star: 10 images" in panel.status.value
    assert panel.message.value == ""


def test_a_picture_that_is_gone_is_a_tile_that_says_so(encoder, store, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(3):
        (folder / f"{index}.png").write_bytes(png(index))
    ingest(folder, encoder, store, progress=False)
    (folder / "1.png").unlink()
    panel = SearchPanel(encoder, store, query_text="a star")
    assert sum("cannot be read" in tile for tile in tiles(panel)) == 1
    place = next(i for i, tile in enumerate(tiles(panel)) if "cannot be read" in tile)
    panel.results.children[place].children[1].click()
    assert "1.png" in panel.message.value


def test_nothing_matches_well_is_said(tmp_path):
    """With the demo's model; that its threshold is for another 1,000 drawings does not matter."""
    from helpers import ClipEncoder, ImageStore, draw_demo_images

    encoder = ClipEncoder("tiny")
    draw_demo_images(tmp_path / "images", n=50)
    with ImageStore(tmp_path / "milvus.db", "demo_collection") as store:
        ingest(tmp_path / "images", encoder, store, progress=False)
        panel = SearchPanel(encoder, store, query_text="a zebra on a train")
        assert "Nothing here matches well" in panel.message.value
        assert len(tiles(panel)) == 10


def test_a_query_given_at_first_is_searched_at_once(encoder, filled):
    panel = SearchPanel(encoder, filled, limit=3, query_text="a star")
    assert len(tiles(panel)) == 3


def test_the_lines_to_copy_ask_the_same_again(panel, encoder, filled, drawings):
    panel.image = list_images(drawings)[4]
    panel.unlike.value = 'it\'s a "fish"'
    panel.limit.value = 4
    panel.query.value = "a star"
    names = {"search": search, "Query": Query, "encoder": encoder, "store": filled}
    assert eval(panel.found.code, names).hits == panel.found.hits
    assert "store.image_dir / " in panel.found.code
    call = f"papermill 03_search.ipynb out.ipynb -y {shlex.quote(json.dumps(panel.parameters))}"
    shown = panel.code.value.replace("&#x27;", "'").replace("&quot;", '"')
    assert panel.found.code in shown
    assert call in shown


def test_a_notebook_shows_the_panel_as_a_widget_and_a_page_its_pictures(panel):
    assert "application/vnd.jupyter.widget-view+json" in panel._repr_mimebundle_()
    assert "text/html" not in panel._repr_mimebundle_()
    panel.query.value = "a fish"
    assert panel._repr_mimebundle_()["text/html"].count("<img ") == 10


def test_the_parameters_lead_to_the_same_model_and_collection_but_hold_no_password(
    panel, encoder, filled, checkpoint, monkeypatch
):
    found = panel.parameters
    assert found["model_name"] == str(checkpoint)
    assert found["collection_name"] == filled.collection_name
    assert ImageStore(found["milvus_uri"]).count() == 50
    monkeypatch.setattr(filled._connection, "uri", "http://root:secret@far:19530")
    assert "secret" not in str(panel.parameters)


def test_a_text_that_is_cut_is_said_to_be(panel):
    panel.query.value = "a star " * 60
    assert "longer than CLIP&#x27;s 77 tokens" in panel.message.value
    assert len(tiles(panel)) == 10
    panel.query.value = "a star"
    assert panel.message.value == ""
