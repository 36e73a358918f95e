import json
import shutil

import pytest

from helpers import (
    ImageStore,
    Settings,
    draw_demo_images,
    ingest,
    open_collection,
    prepare,
    session,
)


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path, drawings, request):
    """Cut the network, keep the data in a folder of the test's own, and draw only a little."""
    shown = []

    def refuse(*args):
        raise ConnectionError("no network & no <b>weights</b>")

    def weights(model_name):
        if model_name == "ViT-B/32":
            refuse()

    monkeypatch.setenv("IMAGE_SEARCH_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(session, "fetch", weights)
    monkeypatch.setattr(session, "fetch_tutorial_images", refuse)
    monkeypatch.setattr(session, "draw_demo_images", lambda f: draw_demo_images(f, n=10))
    monkeypatch.setattr(session, "display", lambda banner: shown.append(banner))
    return shown


def prepared(tmp_path) -> str:
    return json.loads((tmp_path / "prepared.json").read_text())["profile"]


def test_auto_without_network_prepares_the_demo_and_says_so(tmp_path, offline):
    settings = prepare(Settings.resolve("auto"), again=True)
    assert settings.profile == "demo"
    assert len(list(settings.image_dir.glob("*/*.jpg"))) == 10
    assert prepared(tmp_path) == "demo"
    assert "<b>This is the demo.</b>" in offline[0].data
    assert "&amp; no &lt;b&gt;weights" in offline[0].data
    in_a_terminal = repr(offline[0])
    assert in_a_terminal.startswith("This is the demo.")
    assert "no network & no <b>weights</b>" in in_a_terminal


def test_auto_with_network_prepares_the_tutorial(tmp_path, offline, monkeypatch):
    monkeypatch.setattr(session, "fetch", lambda name: None)
    monkeypatch.setattr(session, "fetch_tutorial_images", lambda folder: folder / "images")
    assert prepare(Settings.resolve("auto"), again=True).profile == "tutorial"
    assert prepared(tmp_path) == "tutorial"
    assert offline == []


def test_later_notebooks_follow_what_was_prepared_and_setup_tries_again(tmp_path, monkeypatch):
    prepare(Settings.resolve("auto"), again=True)
    monkeypatch.setattr(session, "fetch", lambda name: None)
    monkeypatch.setattr(session, "fetch_tutorial_images", lambda folder: folder / "images")
    assert prepare(Settings.resolve("auto")).profile == "demo"
    assert prepare(Settings.resolve("auto"), again=True).profile == "tutorial"


def test_a_later_notebook_prepares_what_it_misses(tmp_path):
    settings = prepare(Settings.resolve("auto"))
    assert settings.profile == "demo"
    assert prepared(tmp_path) == "demo"


def test_the_tutorial_by_name_does_not_fall_back():
    with pytest.raises(ConnectionError, match="no network"):
        prepare(Settings.resolve("tutorial"))


def test_ones_own_photos_are_never_searched_by_the_demos_model_unasked(drawings):
    with pytest.raises(ConnectionError, match="no network"):
        prepare(Settings.resolve("auto", image_dir=drawings), again=True)


def test_ones_own_photos_get_the_real_model_even_after_the_demo(drawings, tmp_path, monkeypatch):
    prepare(Settings.resolve("demo"), again=True)
    with pytest.raises(ConnectionError, match="no network"):
        prepare(Settings.resolve(image_dir=drawings))
    monkeypatch.setattr(session, "fetch", lambda name: None)
    assert prepare(Settings.resolve(image_dir=drawings)).model_name == "ViT-B/32"
    assert prepared(tmp_path) == "tutorial"  # so that the next notebook uses the same model


def test_a_collection_asked_for_by_name_needs_no_images(monkeypatch):
    monkeypatch.setattr(session, "draw_demo_images", None)
    assert prepare(Settings.resolve("demo", collection_name="mine")).model_name == "tiny"


def test_what_is_open_is_filled_unless_a_name_was_given_and_no_folder(drawings):
    encoder, store = open_collection(prepare(Settings.resolve("demo")))
    with store:
        assert (encoder.name, store.count()) == ("tiny", 10)
    mine = Settings.resolve("demo", collection_name="mine")
    with pytest.raises(ValueError, match=r"'mine'\) is empty: run 02_ingestion"):
        open_collection(mine)
    encoder, store = open_collection(
        Settings.resolve("demo", collection_name="mine", image_dir=drawings)
    )
    with store:
        assert store.count() == 50
    encoder, store = open_collection(mine)
    with store:
        assert store.count() == 50


def test_a_collection_of_another_model_is_refused_when_it_is_opened(drawings, encoder, checkpoint):
    settings = Settings.resolve("demo", model_name=checkpoint, image_dir=drawings)
    settings.data_dir.joinpath("demo").mkdir()
    with ImageStore(settings.milvus_uri, settings.collection_name) as store:
        ingest(drawings, encoder, store, limit=3, progress=False)
    with pytest.raises(ValueError, match="filled by the model"):
        open_collection(Settings.resolve("demo", image_dir=drawings))


def test_a_folder_that_moved_is_followed_if_it_is_named(drawings, tmp_path):
    (tmp_path / "demo").mkdir()
    images = shutil.copytree(drawings, tmp_path / "before")
    named = {"collection_name": "mine", "image_dir": images}
    open_collection(Settings.resolve("demo", **named))[1].close()
    moved = images.rename(tmp_path / "after")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"images of .*before, and most .* not in .*empty"):
        open_collection(Settings.resolve("demo", **named | {"image_dir": tmp_path / "empty"}))
    _, store = open_collection(Settings.resolve("demo", **named | {"image_dir": moved}))
    with store:
        assert store.image_dir == moved
    _, store = open_collection(Settings.resolve("demo", collection_name="mine"))
    with store:
        assert store.image_dir == moved


def test_a_data_folder_that_moved_is_followed_unasked(tmp_path, monkeypatch):
    settings = prepare(Settings.resolve("demo"))
    open_collection(settings)[1].close()
    (tmp_path / "new place").mkdir()
    (tmp_path / "demo").rename(tmp_path / "new place" / "demo")
    monkeypatch.setenv("IMAGE_SEARCH_DATA_DIR", str(tmp_path / "new place"))
    _, store = open_collection(prepare(Settings.resolve("demo")))
    with store:
        assert store.image_dir == tmp_path / "new place" / "demo" / "images"


def test_the_demos_model_on_other_images_is_labelled_as_such(drawings, offline):
    settings = Settings.resolve("auto", image_dir=drawings, model_name="tiny")
    assert prepare(settings).image_dir == drawings
    assert "These are not CLIP's answers" in offline[0].data


def test_ones_own_images_are_left_alone(tmp_path):
    empty = tmp_path / "mine"
    empty.mkdir()
    prepare(Settings.resolve("demo", image_dir=empty))
    assert list(empty.iterdir()) == []


def test_a_data_folder_that_cannot_be_made_is_named_with_a_remedy(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("IMAGE_SEARCH_DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(NotADirectoryError, match=r"set the .*IMAGE_SEARCH_DATA_DIR.*file/demo"):
        prepare(Settings.resolve("demo"))
