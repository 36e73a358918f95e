"""Files that were replaced, overwritten or renamed behind our back: what a row may still say."""

import contextlib
import errno
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import ImageStore, Query, ingest, ingestion, list_images, retrieval
from helpers.collection import columns
from helpers.collection import store as store_module
from helpers.collection.columns import image_id
from helpers.images import pictures
from helpers.images.pictures import content_digest
from helpers.query.queries import parse

from .support.processes import unprivileged
from .support.stub import StubEncoder

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps the time of creation")


class Counting(StubEncoder):
    """Notes what it encodes."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode_stream(self, images, batch_size=None):
        images = list(images)
        self.encoded += [Path(image).name for image in images]
        return super().encode_stream(images, batch_size)


@pytest.fixture
def encoder():
    return Counting()


@pytest.fixture
def read(monkeypatch):
    """The files whose content was read for their digests, apart from being encoded."""
    names = []

    def digest(file):
        names.append(Path(file).name)
        return content_digest(file)

    for module in (ingestion, store_module):
        monkeypatch.setattr(module, "content_digest", digest)
    return names


@pytest.fixture
def folder(tmp_path):
    """Six photos of the same size and time, three of them in an album."""
    folder = tmp_path / "photos"
    (folder / "album").mkdir(parents=True)
    for number in range(6):
        save_photo(folder / ["", "album"][number % 2] / f"{number}.jpg", number)
    return folder


def save_photo(path, seed, size=4000):
    pixels = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), np.uint8)
    Image.fromarray(pixels).resize((40, 30)).save(path, quality=80)
    path.write_bytes(path.read_bytes().ljust(size, b"\0"))
    os.utime(path, (1.6e9, 1.6e9))
    return path


def run(folder, encoder, store, **more):
    encoder.encoded.clear()
    return ingest(folder, encoder, store, progress=False, **more)


def assert_right(store, folder):
    """Assert that each row has the vector of the picture that its file shows now."""
    rows = list(store.rows(["filepath", "vector", "digest"]))
    vectors = StubEncoder().encode_images([folder / row["filepath"] for row in rows])
    for row, vector in zip(rows, vectors, strict=True):
        assert np.dot(row["vector"], vector) > 0.999, row["filepath"]
        assert row["digest"] == content_digest(folder / row["filepath"])


def overwrite(path, other):  # as `cp -p` does
    with open(path, "r+b") as file:
        file.write(other.read_bytes())
    shutil.copystat(other, path)


def rename_onto(path, other):  # as `rsync --times` and most editors do
    shutil.copy2(other, other.with_suffix(".part"))
    os.replace(other.with_suffix(".part"), path)


def link_onto(path, other):
    path.unlink()
    path.hardlink_to(other)


def lead_to(path, other):
    path.unlink()
    path.symlink_to(other)


def restore(path, other):  # a backup of another day under that name, of the same time
    path.unlink()
    shutil.move(shutil.copy2(other, other.with_suffix(".bak")), path)


@posix
@pytest.mark.parametrize("replace", [overwrite, rename_onto, link_onto, lead_to, restore])
def test_another_photo_of_the_same_size_and_time_gets_a_vector_of_its_own(
    folder, tmp_path, encoder, store, replace
):
    run(folder, encoder, store)
    status = (folder / "2.jpg").stat()
    replace(folder / "2.jpg", save_photo(tmp_path / "other.jpg", seed=99))
    after = (folder / "2.jpg").stat()
    assert (status.st_size, status.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    report = run(folder, encoder, store)
    assert (report.updated, report.unchanged, encoder.encoded) == (1, 5, ["2.jpg"])
    assert_right(store, folder)


@posix
def test_a_link_that_leads_to_another_photo_now_is_another_photo(folder, tmp_path, encoder, store):
    (folder / "favourite.jpg").symlink_to(save_photo(tmp_path / "a.jpg", seed=7))
    run(folder, encoder, store)
    lead_to(folder / "favourite.jpg", save_photo(tmp_path / "b.jpg", seed=8))
    assert run(folder, encoder, store).updated == 1
    assert_right(store, folder)


@posix
def test_photos_of_one_size_and_time_that_swap_names_swap_rows(folder, encoder, store):
    run(folder, encoder, store)
    (folder / "0.jpg").rename(folder / "t")
    (folder / "2.jpg").rename(folder / "0.jpg")
    (folder / "t").rename(folder / "2.jpg")
    report = run(folder, encoder, store)
    assert (report.updated, report.unchanged, encoder.encoded) == (2, 4, [])
    assert_right(store, folder)


@posix
def test_a_photo_that_is_replaced_while_it_is_ingested_is_right_after_the_next_run(
    folder, tmp_path, encoder, store, monkeypatch
):
    other = save_photo(tmp_path / "other.jpg", seed=99)
    read_image = pictures.read_image

    def replace_first(image, edge=None):
        found = read_image(image, edge)
        if image.path == folder / "2.jpg":
            rename_onto(image.path, other)
        return found

    with monkeypatch.context() as patched:
        patched.setattr("tests.support.stub.read_image", replace_first)
        run(folder, encoder, store)
    assert run(folder, encoder, store).updated == 1
    assert_right(store, folder)


def change_modes(folder):
    for path in list_images(folder):
        path.chmod(0o600)
        path.chmod(0o644)


def mount_elsewhere(folder):  # a copy, or a disk that numbers its files anew
    shutil.copytree(folder, folder.with_name("copy"))
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)


@posix
@pytest.mark.parametrize("change", [change_modes, mount_elsewhere])
def test_files_that_only_seem_to_have_changed_are_read_once_and_not_encoded(
    folder, encoder, store, read, change
):
    run(folder, encoder, store)
    read.clear()
    change(folder)
    assert run(folder, encoder, store).unchanged == 6
    assert (len(read), encoder.encoded) == (6, [])
    assert run(folder, encoder, store, prune=True).unchanged == 6
    assert (len(read), encoder.encoded, store.count()) == (6, [], 6)


def test_what_others_added_to_a_photo_and_not_to_its_copy_stays_so(folder, encoder, store):
    shutil.copy2(folder / "0.jpg", folder / "copy.jpg")
    run(folder, encoder, store)
    for name, stars in {"0.jpg": 5, "copy.jpg": 1}.items():
        (row,) = store.get([image_id(name)])
        store.upsert([row | {"stars": stars}])
    for name in ("0.jpg", "copy.jpg"):
        os.utime(folder / name, (1.7e9, 1.7e9))
    assert run(folder, encoder, store).unchanged == 7
    assert [store.get([image_id(n)])[0]["stars"] for n in ("0.jpg", "copy.jpg")] == [5, 1]


@contextlib.contextmanager
def earlier_version(*lacking):
    """Act as a version that did not know these columns."""
    known = [column for column in columns.COLUMNS if column.name not in lacking]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(columns, "COLUMNS", known)
        patched.setattr(columns, "FORMAT", 1)
        yield


def rows_of(store, *fields):
    return {row["filepath"]: row for row in store.rows(["filepath", *fields])}


@posix
def test_rows_of_before_are_taken_as_they_are_once_and_remembered(folder, encoder, store, read):
    with earlier_version("stamp"):
        run(folder, encoder, store)
    written = rows_of(store, "vector", "format")
    read.clear()
    for _ in range(2):
        report = run(folder, encoder, store)
        assert (report.unchanged, report.updated, encoder.encoded, read) == (6, 0, [], [])
        assert "6 rows are of an earlier version, which missed some dates" in report.note
    assert rows_of(store, "vector", "format") == written  # the facts are those of before
    assert all(row["stamp"] for row in rows_of(store, "stamp").values())
    overwrite(folder / "2.jpg", folder / "4.jpg")
    assert run(folder, encoder, store).updated == 1
    assert_right(store, folder)


def test_rows_without_digests_are_known_by_size_and_time_as_before(folder, encoder, store):
    with earlier_version("stamp", "digest"):
        run(folder, encoder, store)
    for _ in range(2):
        change_modes(folder)
        assert run(folder, encoder, store).unchanged == 6
        assert encoder.encoded == []


@posix
def test_a_query_uses_the_stored_vector_of_a_photo_only_if_it_is_still_that_photo(
    folder, encoder, store
):
    run(folder, encoder, store)
    question = parse(Query([folder / "0.jpg", folder / "2.jpg"]))
    overwrite(folder / "2.jpg", folder / "4.jpg")
    assert retrieval._stored_vectors(question, store).keys() == {folder / "0.jpg"}


def test_an_unchanged_folder_is_not_read(folder, encoder, store, read):
    run(folder, encoder, store)
    read.clear()
    assert run(folder, encoder, store).unchanged == 6
    assert read == []


RUBBISH = {
    "a page of a hotel's network": (b"<html>sign in</html>", False),
    "of the same size and time": (b"\x17" * 4000, True),
    "half of another photo": (None, "all"),
    "zeros, as a crash leaves them": (b"\0" * 4000, False),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\n", "all"),
}


@posix
@pytest.mark.parametrize(("rubbish", "prune"), RUBBISH.values(), ids=RUBBISH)
def test_a_photo_that_was_overwritten_by_what_is_none_is_no_longer_found(
    folder, tmp_path, encoder, store, rubbish, prune
):
    run(folder, encoder, store)
    whole = save_photo(tmp_path / "other.jpg", 99, size=0).read_bytes()
    (folder / "2.jpg").write_bytes(rubbish or whole[: len(whole) // 2])
    os.utime(folder / "2.jpg", (1.6e9, 1.6e9))
    report = run(folder, encoder, store, prune=prune)
    ((name, reason),) = report.skipped
    assert (name, report.removed, report.unchanged) == ("2.jpg", 1, 5)
    assert reason.endswith("; what it showed before is no longer found")
    assert "2.jpg" not in rows_of(store)
    again = run(folder, encoder, store, prune=prune)
    assert (again.removed, len(again.skipped), again.unchanged) == (0, 1, 5)
    assert "found" not in again.skipped[0][1]
    (folder / "2.jpg").write_bytes(whole)  # now it is copied
    assert run(folder, encoder, store).inserted == 1
    assert_right(store, folder)


def make_empty(path):
    path.write_bytes(b"")


def make_unreadable(path):
    path.write_bytes(b"something else")
    path.chmod(0)


@pytest.mark.parametrize("prune", [False, "all"])
@pytest.mark.parametrize("spoil", [make_empty, make_unreadable])
def test_a_photo_that_cannot_be_read_is_still_found(open_folder, folder, encoder, spoil, prune):
    shutil.copytree(folder, open_folder / "photos")
    open_folder.chmod(0o777)
    with unprivileged(), ImageStore(open_folder / "milvus.db") as store:
        run(open_folder / "photos", encoder, store)
    spoil(open_folder / "photos" / "2.jpg")
    with unprivileged(), ImageStore(open_folder / "milvus.db") as store:
        report = run(open_folder / "photos", encoder, store, prune=prune)
        ((name, reason),) = report.skipped
        assert (name, report.removed, store.count()) == ("2.jpg", 0, 6)
        assert reason.endswith("; it is still found by what it showed before")


@pytest.mark.parametrize("number", [errno.EIO, errno.ETIMEDOUT, errno.EDEADLK])
def test_a_photo_on_a_disk_that_fails_or_in_a_cloud_is_still_found(
    folder, encoder, store, monkeypatch, number
):
    run(folder, encoder, store)
    (folder / "2.jpg").write_bytes(b"nobody knows what")

    def fail(file, **more):
        if Path(file.name).name == "2.jpg":
            raise OSError(number, os.strerror(number))
        return digest(file)

    digest = pictures._digest
    monkeypatch.setattr(pictures, "_digest", fail)
    report = run(folder, encoder, store, prune="all")
    ((name, reason),) = report.skipped
    assert (name, report.removed, store.count()) == ("2.jpg", 0, 6)
    assert reason.endswith("; it is still found by what it showed before")
    monkeypatch.undo()
    save_photo(folder / "2.jpg", 2)
    assert (run(folder, encoder, store).unchanged, encoder.encoded) == (6, [])


def test_a_photo_that_cannot_even_be_looked_at_is_still_found(folder, encoder, store, monkeypatch):
    run(folder, encoder, store)
    look_at = ingestion.look_at

    def fail(path, below):
        if path.name == "2.jpg":
            raise OSError(errno.EHOSTDOWN, "Host is down")
        return look_at(path, below)

    monkeypatch.setattr(ingestion, "look_at", fail)
    report = run(folder, encoder, store, prune="all")
    assert report.skipped == [("2.jpg", "Host is down; it is still found by what it showed before")]
    assert store.count() == 6


def test_several_photos_overwritten_by_the_same_rubbish_all_go_and_nothing_else(
    folder, encoder, store
):
    run(folder, encoder, store)
    (folder / "0.jpg").rename(folder / "moved.jpg")  # what it showed is still there
    for name in ("0.jpg", "2.jpg", "album/1.jpg", "new.jpg"):
        (folder / name).write_bytes(b"no photo")
    report = run(folder, encoder, store)
    assert (report.removed, len(report.skipped), store.count()) == (3, 4, 4)
    assert rows_of(store).keys() == {"moved.jpg", "4.jpg", "album/3.jpg", "album/5.jpg"}
    assert_right(store, folder)
    fates = {name: reason.partition("; ")[2] for name, reason in report.skipped}
    assert fates.pop("new.jpg") == ""
    assert set(fates.values()) == {"what it showed before is no longer found"}


def rename_all(folder, place):
    """Move a folder and rename all its files at once, as programs that import photos do."""
    place.mkdir()
    for number, path in enumerate(list_images(folder)):
        path.rename(place / f"IMG_{number:04}.jpg")
    shutil.rmtree(folder)
    return place


def copy_all(folder, place):
    place.mkdir()
    for number, path in enumerate(reversed(list_images(folder))):
        shutil.copy(path, place / f"copy {number}.jpg")
    return place


@pytest.mark.parametrize("move", [rename_all, copy_all])
def test_photos_that_moved_and_were_all_renamed_are_known_by_their_contents(
    folder, tmp_path, encoder, store, move
):
    run(folder, encoder, store)
    place = move(folder, tmp_path / "place")
    with ImageStore(store.shown_uri) as other:
        report = run(place, encoder, other)
        assert (report.moved, encoder.encoded, other.count()) == (6, [], 6)
        assert_right(other, place)


def test_a_search_follows_photos_that_were_all_renamed_and_remembers_it(
    folder, tmp_path, encoder, store
):
    run(folder, encoder, store)
    place = rename_all(folder, tmp_path / "place")
    assert store.follow(place)
    with ImageStore(store.shown_uri) as again:
        assert again.image_dir == place
        assert run(place, encoder, again).moved == 6


@pytest.mark.parametrize("shared", [0, 1, 3])
def test_a_folder_of_other_photos_is_refused_though_it_shares_some(
    folder, tmp_path, encoder, store, shared
):
    run(folder, encoder, store)
    place = tmp_path / "place"
    place.mkdir()
    for number in range(30):  # of the same size and time
        save_photo(place / f"{number}.jpg", 100 + number)
    for path in list_images(folder)[:shared]:
        shutil.copy2(path, place / f"shared {path.name}")
    for wrong in (place, tmp_path / "missing"):
        assert not store.follow(wrong)
    with pytest.raises(ValueError, match=r"holds the images of .* most of them are not in"):
        run(place, encoder, store)
    assert store.image_dir == folder


def test_few_files_are_read_to_know_a_folder_that_moved(folder, tmp_path, encoder, store, read):
    for number in range(6, 80):
        save_photo(folder / f"{number}.jpg", number)
    for path in list_images(folder):
        os.utime(path, (1.6e9, 1.6e9 + int(path.stem)))
    run(folder, encoder, store)
    place = rename_all(folder, tmp_path / "place")
    for number in range(100):  # that come first, of the same size
        save_photo(place / f"A{number}.jpg", 1000)
    read.clear()
    assert store.follow(place)
    assert 16 < len(read) <= 64
