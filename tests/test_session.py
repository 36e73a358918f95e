import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from helpers import (
    ClipEncoder,
    ImageStore,
    Settings,
    draw_demo_images,
    ingest,
    open_collection,
    prepare,
    search,
    session,
)
from helpers.models import encoder as encoders


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


def fill(name, encoder, images, data) -> str:
    """Fill a collection with three images; return its database."""
    data.mkdir(exist_ok=True)
    with ImageStore(data / "milvus.db", name) as store:
        ingest(images, encoder, store, limit=3, progress=False)
        return store.shown_uri


@pytest.fixture
def mine(drawings, encoder, tmp_path, offline) -> Callable[..., Settings]:
    """The collection `photos` of somebody's own folder and model, after yesterday's demo."""
    prepare(Settings.resolve("demo"), again=True)
    offline.clear()
    fill("photos", encoder, drawings, tmp_path)
    return partial(Settings.resolve, collection_name="photos")


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
    with pytest.raises(ConnectionError, match=r'no network .*; or use profile="demo"'):
        prepare(Settings.resolve("tutorial"))


def test_ones_own_photos_are_never_searched_by_the_demos_model_unasked(drawings):
    for profile in ("auto", "tutorial"):
        with pytest.raises(ConnectionError, match=r"no network & no <b>weights</b>$"):
            prepare(Settings.resolve(profile, image_dir=drawings), again=True)


def test_ones_own_photos_get_the_real_model_even_after_the_demo(drawings, tmp_path, monkeypatch):
    prepare(Settings.resolve("demo"), again=True)
    with pytest.raises(ConnectionError, match="no network"):
        prepare(Settings.resolve(image_dir=drawings))
    monkeypatch.setattr(session, "fetch", lambda name: None)
    assert prepare(Settings.resolve(image_dir=drawings)).model_name == "ViT-B/32"
    assert prepared(tmp_path) == "demo"  # what others find does not change


def test_a_collection_asked_for_by_name_needs_no_images(monkeypatch, drawings, tiny, tmp_path):
    monkeypatch.setattr(session, "draw_demo_images", None)
    fill("mine", tiny, drawings, tmp_path)
    assert prepare(Settings.resolve("demo", collection_name="mine")).model_name == "tiny"


def test_what_is_open_is_filled_unless_a_name_was_given_and_no_folder(drawings):
    encoder, store = open_collection(prepare(Settings.resolve("demo")))
    with store:
        assert (encoder.name, store.count()) == ("tiny", 10)
    mine = Settings.resolve("demo", collection_name="mine")
    with pytest.raises(ValueError, match=r"'mine'\) is empty: run 02_ingestion"):
        open_collection(mine)
    with pytest.raises(ValueError, match="no collection 'mine'; there are: demo_collection"):
        prepare(mine)
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
        open_collection(Settings.resolve("demo", "tiny", image_dir=drawings))


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
    for name in ("demo", "milvus.db"):
        (tmp_path / name).rename(tmp_path / "new place" / name)
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


@pytest.mark.parametrize("images", [None, True])
def test_a_collection_answers_for_its_folder_and_its_model(
    mine, images, drawings, checkpoint, offline, tmp_path
):
    settings = prepare(mine(), images=images)
    assert (settings.image_dir, settings.model_name) == (drawings, str(checkpoint))
    assert (settings.profile, settings.query_text) == ("tutorial", "a white dog")
    assert settings.sources["model_name"] == "the collection"
    assert not settings.given("query_text")
    assert (offline, prepared(tmp_path)) == ([], "demo")
    for asked in (settings, mine()):  # prepared or not
        encoder, store = open_collection(asked)
        with store:
            assert (encoder.path, store.count(), store.image_dir) == (checkpoint, 3, drawings)


def test_what_is_named_and_contradicts_the_collection_is_said_before_anything_is_downloaded(
    mine, monkeypatch, tmp_path, drawings
):
    monkeypatch.setattr(session, "fetch", None)
    with pytest.raises(ValueError, match=r"random.pt', not by 'ViT-B/16': .*Leave out model_name"):
        prepare(mine(model_name="ViT-B/16"))
    (tmp_path / "other").mkdir()
    with pytest.raises(ValueError, match=rf"images of {drawings}, and most .* not in .*other"):
        prepare(mine(image_dir=tmp_path / "other"), images=True)
    with pytest.raises(FileNotFoundError, match=r"no folder .*gone: check image_dir"):
        prepare(mine(image_dir=tmp_path / "gone"), images=True)


def test_a_collection_that_will_be_deleted_first_may_be_given_other_things(mine, tmp_path):
    (tmp_path / "other").mkdir()
    settings = mine(image_dir=tmp_path / "other", model_name="tiny")
    assert prepare(settings, images=True, recreate=True).image_dir == tmp_path / "other"
    assert prepare(mine(), images=True, recreate=True).model_name.endswith("random.pt")


def test_a_mistyped_name_is_answered_with_those_that_exist(mine, monkeypatch):
    monkeypatch.setattr(session, "fetch", None)
    for images in (None, True):
        with pytest.raises(ValueError, match=r"'fotos'; there are: photos. .*as image_dir"):
            prepare(Settings.resolve(collection_name="fotos"), images=images)


@pytest.mark.parametrize("given", [{"profile": "demo"}, {"model_name": "tiny"}])
def test_a_new_collection_is_made_if_somebody_says_what_of(given):
    settings = prepare(Settings.resolve(collection_name="mine", **given), images=True)
    assert settings.model_name == "tiny"


def test_a_checkpoint_that_is_gone_is_named_and_found_at_its_new_place(
    drawings, checkpoint, tmp_path, monkeypatch
):
    monkeypatch.setattr(session, "fetch", encoders.fetch)
    moved = shutil.copy(checkpoint, tmp_path / "before.pt")
    fill("photos", ClipEncoder(moved, device="cpu"), drawings, tmp_path)
    moved = moved.rename(tmp_path / "after.pt")
    for opens in (prepare, open_collection):
        with pytest.raises(FileNotFoundError, match=r"'photos' was filled by .*before.pt, which"):
            opens(Settings.resolve(collection_name="photos"))
    named = prepare(Settings.resolve(collection_name="photos", model_name=moved))
    _, store = open_collection(named)
    with store:
        assert store.count() == 3


def test_a_folder_that_is_gone_is_named_where_it_is_needed_and_else_shown(
    encoder, folder, offline, tmp_path
):
    fill("photos", encoder, folder, tmp_path)
    folder.rename(tmp_path / "moved")
    photos = partial(Settings.resolve, collection_name="photos")
    with pytest.raises(FileNotFoundError, match=rf"were in {folder}, which is not there. Connect"):
        prepare(photos(), images=True)
    prepare(photos())
    assert f"were in {folder}, which is not there" in repr(offline[0])
    settings = prepare(photos(image_dir=tmp_path / "moved"), images=True)
    open_collection(settings)[1].close()
    assert prepare(photos()).image_dir == tmp_path / "moved"


def test_the_default_collection_answers_for_itself_too(encoder, drawings, tmp_path):
    fill("image_collection", encoder, drawings, tmp_path)
    settings = prepare(Settings.resolve(), again=True, images=True)
    assert (settings.profile, settings.image_dir) == ("tutorial", drawings)
    assert settings.model_name == encoder.model_name


def test_no_run_with_one_profile_changes_what_another_finds(mine, drawings):
    demo = prepare(Settings.resolve("demo"), again=True, images=True)
    open_collection(demo)[1].close()
    assert prepare(mine()).image_dir == drawings
    assert prepare(mine()).milvus_uri == demo.milvus_uri


@pytest.fixture
def others(encoder, drawings, tmp_path, monkeypatch) -> list:
    """The collection of Milvus's tutorial, with its name, made by its code in this folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(drawings, "train")
    paths = sorted(Path("train").glob("*/*.jpg"))[:3]
    with ImageStore(tmp_path / "milvus.db", "image_collection") as store:
        made = {"dimension": encoder.dim, "auto_id": True, "enable_dynamic_field": True}
        store.client.create_collection(collection_name="image_collection", **made)
        vectors = encoder.encode_images(paths)
        for path, vector in zip(paths, vectors, strict=True):
            one = {"vector": vector.tolist(), "filepath": f"./{path}"}
            store.client.insert("image_collection", one)
    return paths


@pytest.mark.parametrize("named", [{}, {"collection_name": "image_collection"}])
def test_the_tutorials_collection_opens_if_its_model_is_named(
    others, encoder, checkpoint, tmp_path, named
):
    with pytest.raises(ValueError, match=r"not made by this project: name .* as model_name"):
        prepare(Settings.resolve(**named))
    settings = prepare(Settings.resolve(model_name=checkpoint, **named))
    assert settings.image_dir == tmp_path
    opened, store = open_collection(settings)
    with store:
        hits = search(others[1], opened, store)
        assert [hit.path for hit in hits][:1] == [tmp_path / others[1]]
        assert hits[0].score == pytest.approx(1, abs=1e-4)
        assert {(hit.margin, hit.taken, hit.width, hit.label) for hit in hits} == {
            (None, None, None, "")
        }
        assert (hits.matches, len(hits), len(hits.to_frame())) == (None, 3, 3)


def test_nothing_is_added_to_the_tutorials_collection(others, encoder, checkpoint, drawings):
    settings = prepare(Settings.resolve(model_name=checkpoint, image_dir=drawings), images=True)
    with ImageStore(settings.milvus_uri, settings.collection_name) as store:
        for recreate in (False, True):
            with pytest.raises(ValueError, match="choose another collection_name to ingest"):
                ingest(drawings, encoder, store, recreate=recreate, progress=False)
        assert store.count() == 3
    with pytest.raises(ValueError, match="not made by this project"):
        prepare(Settings.resolve(model_name=checkpoint), images=True, recreate=True)


def test_the_folder_that_the_tutorials_paths_count_from_may_be_named(
    others, checkpoint, tmp_path, monkeypatch
):
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    settings = prepare(Settings.resolve(model_name=checkpoint, image_dir=tmp_path))
    encoder, store = open_collection(settings)
    with store:
        assert {hit.path for hit in search("a star", encoder, store)} == {
            tmp_path / path for path in others
        }


def test_a_model_that_does_not_fit_the_tutorials_collection_is_refused(others):
    with pytest.raises(ValueError, match=r"not by 'tiny' .*their vectors cannot be compared"):
        open_collection(prepare(Settings.resolve(model_name="tiny")))
