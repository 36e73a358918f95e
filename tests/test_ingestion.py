import json
import os
import re
import shutil
import signal
import sys
import threading

import numpy as np
import pytest
from PIL import Image
from pymilvus import MilvusClient

from helpers import ImageStore, ingest, ingestion, list_images, search
from helpers.collection import columns
from helpers.collection import store as store_module
from helpers.collection.columns import image_id
from helpers.images import files
from helpers.images.pictures import content_digest, read_image
from helpers.ingestion import IngestReport
from helpers.models import encoder as encoder_module

from .support.interruption import (
    kill_and_rerun,
    kill_moves_and_rerun,
    signal_in_mid_write,
    start,
)
from .support.odd_files import NAMES, make_bad_files, make_odd_files
from .support.processes import unprivileged
from .support.stub import StubEncoder


def stored(store, *fields):
    return {row["filepath"]: row for row in store.rows(["filepath", *fields])}


def test_every_image_has_one_row_with_its_vector_and_facts(folder, encoder, store):
    report = ingest(folder, encoder, store, progress=False)
    assert (report.found, report.inserted, report.skipped) == (50, 50, [])
    rows = stored(store, "id", "vector", "label", "width", "height", "size", "mtime")
    images = {path.relative_to(folder).as_posix(): path for path in list_images(folder)}
    assert rows.keys() == images.keys()
    name = "red star/red-star-01.jpg"
    row, stat = rows[name], images[name].stat()
    assert (row["id"], row["label"]) == (image_id(name), "red star")
    assert (row["width"], row["height"]) == Image.open(images[name]).size
    assert (row["size"], row["mtime"]) == (stat.st_size, stat.st_mtime_ns)
    expected = encoder.encode_images(images.values())
    vectors = np.array([rows[name]["vector"] for name in images])
    assert (vectors * expected).sum(axis=1).min() > 0.9999


def test_a_second_run_encodes_nothing(folder, encoder, store, monkeypatch):
    ingest(folder, encoder, store, progress=False)
    monkeypatch.setattr(encoder, "encode_pixels", None)
    report = ingest(folder, encoder, store, progress=False)
    assert (report.found, report.unchanged, report.inserted, report.updated) == (50, 50, 0, 0)


def test_only_what_is_new_or_changed_is_encoded(folder, encoder, store):
    ingest(folder, encoder, store, progress=False)
    first, second = list_images(folder)[:2]
    shutil.copy(second, first)
    shutil.copy(second, folder / "new.jpg")
    report = ingest(folder, encoder, store, progress=False)
    assert (report.inserted, report.updated, report.unchanged) == (1, 1, 49)
    rows = stored(store, "vector", "label")
    changed, source = (rows[p.relative_to(folder).as_posix()]["vector"] for p in (first, second))
    assert np.dot(changed, source) > 0.9999
    assert rows["new.jpg"]["label"] == ""


def test_a_run_that_was_stopped_goes_on_where_it_stopped(folder, encoder, store, monkeypatch):
    upsert, written = store.upsert, []

    def fail_at_the_third(rows):
        if len(written) == 2:
            raise ConnectionError("the server went away")
        upsert(rows)
        written.append(len(rows))

    with monkeypatch.context() as patched:
        patched.setattr(store, "upsert", fail_at_the_third)
        with pytest.raises(ConnectionError, match="went away"):
            ingest(folder, encoder, store, batch_size=8, progress=False)
    assert store.count() == 16
    report = ingest(folder, encoder, store, progress=False)
    assert (report.inserted, report.unchanged, store.count()) == (34, 16, 50)


def test_a_file_that_may_not_be_read_is_skipped(open_folder, drawings, encoder):
    (open_folder / "images").mkdir()
    for name in ("open.jpg", "closed.jpg"):
        shutil.copy(list_images(drawings)[0], open_folder / "images" / name)
    (open_folder / "images" / "closed.jpg").chmod(0)
    open_folder.chmod(0o777)
    with unprivileged(), ImageStore(open_folder / "milvus.db") as store:
        report = ingest(open_folder / "images", encoder, store, progress=False)
    assert (report.inserted, report.skipped) == (1, [("closed.jpg", "Permission denied")])


def test_bad_files_are_skipped_each_with_its_reason(folder, encoder, store):
    reasons = make_bad_files(folder, folder / "red star" / "red-star-01.jpg")
    (folder / "folder.jpg").mkdir()
    report = ingest(folder, encoder, store, progress=False)
    assert (report.found, report.inserted) == (50 + len(reasons), 50)
    assert dict(report.skipped).keys() == reasons.keys()
    for filepath, reason in report.skipped:
        assert re.search(reasons[filepath], reason), (filepath, reason)
    again = ingest(folder, encoder, store, progress=False)
    assert (again.unchanged, again.skipped) == (50, report.skipped)


def test_odd_files_are_ingested_as_a_person_sees_them(encoder, store, photos, tmp_path):
    (tmp_path / "odd").mkdir()
    seen = make_odd_files(tmp_path / "odd", photos[0])
    report = ingest(tmp_path / "odd", encoder, store, progress=False)
    assert (report.inserted, report.skipped) == (len(seen), [])
    rows = stored(store, "vector", "width", "height")
    assert {name: (row["width"], row["height"]) for name, row in rows.items()} == {
        name: image.size for name, image in seen.items()
    }
    for name, image in seen.items():
        assert np.dot(rows[name]["vector"], encoder.encode_images([image])[0]) > 0.99, name


@pytest.mark.parametrize("name", NAMES)
def test_an_image_of_any_name_is_found_by_its_picture(drawings, encoder, store, tmp_path, name):
    shutil.copytree(drawings / "red star", tmp_path / "odd")
    (tmp_path / "odd" / "red-star-01.jpg").rename(tmp_path / "odd" / name)
    ingest(tmp_path / "odd", encoder, store, progress=False)
    hit = search(tmp_path / "odd" / name, encoder, store, limit=1)[0]
    assert (hit.filepath, hit.path.exists()) == (name, True)


def test_a_file_that_vanishes_before_it_is_read_is_skipped(folder, encoder, store, monkeypatch):
    victim = list_images(folder)[30]

    def vanish_first(image, edge):
        victim.unlink(missing_ok=True)
        return read_image(image, edge)

    monkeypatch.setattr(encoder_module, "read_image", vanish_first)
    report = ingest(folder, encoder, store, batch_size=50, progress=False)
    name = victim.relative_to(folder).as_posix()
    assert (report.inserted, report.skipped) == (49, [(name, "No such file or directory")])


def test_killed_at_any_moment_and_run_again_every_image_has_one_right_row(drawings, tmp_path):
    if sys.platform == "win32":
        pytest.skip("Windows has no SIGKILL")
    outcomes = kill_and_rerun(drawings, tmp_path / "milvus.db", batch_size=4, kills=3)
    assert len({outcome["acknowledged"] for outcome in outcomes}) == 3
    for outcome in outcomes:
        assert outcome["kept"] >= min(4 * outcome["acknowledged"], 50), outcome
        assert outcome["unchanged"], outcome  # what was stored is not encoded again
        assert (outcome["count"], outcome["keys"]) == (50, True), outcome
        assert outcome["cosine"] > 0.999, outcome


def test_killed_while_rows_move_and_run_again_nothing_is_doubled_or_lost(folder, tmp_path):
    if sys.platform == "win32":
        pytest.skip("Windows has no SIGKILL")
    outcomes = kill_moves_and_rerun(folder, tmp_path / "milvus.db", 10, kills=4)
    assert max(outcome["places"] for outcome in outcomes) > 50  # killed between write and delete
    for outcome in outcomes:
        assert (outcome["encoded"], outcome["count"]) == (0, 50), outcome
        assert (outcome["keys"], outcome["vectors"]) == (True, True), outcome


def test_an_interrupt_ends_it_with_a_report_and_keeps_what_was_done(drawings, tmp_path):
    if sys.platform == "win32":
        pytest.skip("Windows cannot send one process Ctrl-C")
    with start(drawings, tmp_path / "milvus.db", batch_size=4) as child:
        signal_in_mid_write(child, 5, 0, signal.SIGINT)
        *_, last = child.stdout
    interrupted, inserted, count = json.loads(last)
    assert (child.returncode, interrupted) == (0, True)
    assert 16 <= inserted == count < 50
    with ImageStore(tmp_path / "milvus.db") as store:
        report = ingest(drawings, StubEncoder(), store, progress=False)
    assert (report.unchanged, report.inserted, report.interrupted) == (count, 50 - count, False)


def test_a_long_run_flushes_now_and_then(folder, encoder, store, monkeypatch):
    flush, flushed = store.flush, []
    monkeypatch.setattr(store_module, "_FLUSH_EVERY", 20)
    monkeypatch.setattr(store, "flush", lambda: flushed.append(store.count()) or flush())
    ingest(folder, encoder, store, batch_size=8, progress=False)
    assert flushed == [24, 48, 50]


def test_rows_are_written_while_the_next_batch_is_encoded(folder, encoder, store, monkeypatch):
    encode, upsert, calls, second = encoder.encode_pixels, store.upsert, [], threading.Event()

    def note_the_second(pixels):
        calls.append(len(pixels))
        if len(calls) == 2:
            second.set()
        return encode(pixels)

    def wait_for_the_second(rows):
        assert second.wait(timeout=10)
        upsert(rows)

    monkeypatch.setattr(encoder, "encode_pixels", note_the_second)
    monkeypatch.setattr(store, "upsert", wait_for_the_second)
    assert ingest(folder, encoder, store, batch_size=20, progress=False).inserted == 50
    assert calls == [20, 20, 10]


def test_rows_that_a_killed_run_left_unflushed_are_flushed_by_the_next(
    folder, encoder, store, monkeypatch
):
    with monkeypatch.context() as patched:
        patched.setattr(store, "flush", lambda: None)
        ingest(folder, encoder, store, progress=False)
    flush, flushed = MilvusClient.flush, []
    monkeypatch.setattr(
        MilvusClient, "flush", lambda *args, **more: (flushed.append(args[1]), flush(*args, **more))
    )
    with ImageStore(store._connection.uri) as next_run:
        assert ingest(folder, encoder, next_run, progress=False).unchanged == 50
    assert flushed == ["image_collection"]


def test_batch_size_is_that_of_forward_passes_and_writes(folder, encoder, store, monkeypatch):
    encode, upsert, passes, writes = encoder.model.encode_image, store.upsert, [], []
    for path in list_images(folder):  # a byte more, or their vectors would be known
        path.with_name(f"again {path.name}").write_bytes(path.read_bytes() + b" ")
    monkeypatch.setattr(encoder.model, "encode_image", lambda p: passes.append(len(p)) or encode(p))
    monkeypatch.setattr(store, "upsert", lambda rows: writes.append(len(rows)) or upsert(rows))
    ingest(folder, encoder, store, batch_size=80, progress=False)
    assert (passes, writes) == ([80, 20], [80, 20])
    store.drop()
    passes.clear()
    ingest(folder, encoder, store, progress=False)
    assert passes == [encoder.batch_size, 100 - encoder.batch_size]


def test_a_batch_of_bad_files_alone_is_skipped(encoder, store, tmp_path):
    (tmp_path / "bad").mkdir()
    for number in range(3):
        (tmp_path / "bad" / f"{number}.jpg").touch()
    report = ingest(tmp_path / "bad", encoder, store, batch_size=2, progress=False)
    assert (report.found, report.inserted, len(report.skipped)) == (3, 0, 3)


def test_rows_of_files_that_are_gone_stay_until_they_are_pruned(folder, encoder, store):
    ingest(folder, encoder, store, progress=False)
    shutil.rmtree(folder / "red star")
    assert ingest(folder, encoder, store, progress=False).removed == 0
    assert store.count() == 50
    assert ingest(folder, encoder, store, prune="all", progress=False).removed == 10
    assert store.count() == 40
    for path in list_images(folder)[:2]:
        path.unlink()
    assert ingest(folder, encoder, store, prune=True, progress=False).removed == 2
    assert store.count() == 38


def test_pruning_spares_what_only_cannot_be_read(open_folder, drawings, encoder):
    shutil.copytree(drawings, open_folder / "images")
    open_folder.chmod(0o777)
    assert encoder.digest  # its file is one that others may not read
    with unprivileged(), ImageStore(open_folder / "milvus.db") as store:
        ingest(open_folder / "images", encoder, store, progress=False)
    (open_folder / "images" / "red star").chmod(0)
    with unprivileged(), ImageStore(open_folder / "milvus.db") as store:
        with pytest.warns(UserWarning, match="red star: folder left out"):
            report = ingest(open_folder / "images", encoder, store, prune=True, progress=False)
        assert (report.found, report.removed, store.count()) == (40, 0, 50)
    (open_folder / "images" / "red star").chmod(0o755)


def move_below(folder, place):
    """Move every image into a subfolder, as somebody does who sorts a library by year."""
    for path in list_images(folder):
        new = folder / place / path.relative_to(folder)
        new.parent.mkdir(parents=True, exist_ok=True)
        path.rename(new)


def test_photos_that_moved_keep_their_vectors_and_are_not_encoded(
    folder, encoder, store, monkeypatch
):
    ingest(folder, encoder, store, progress=False)
    before = stored(store, "vector", "width")
    move_below(folder, "2019")
    monkeypatch.setattr(encoder, "encode_pixels", None)
    report = ingest(folder, encoder, store, progress=False)
    assert (report.moved, report.inserted, report.unchanged, report.removed) == (50, 0, 0, 0)
    assert (stored(store, "vector", "width"), store.count()) == (
        {f"2019/{name}": row | {"filepath": f"2019/{name}"} for name, row in before.items()},
        50,
    )
    assert ingest(folder, encoder, store, progress=False).unchanged == 50


def test_a_renamed_photo_gets_the_label_of_its_new_place(folder, encoder, store):
    ingest(folder, encoder, store, progress=False)
    (folder / "red star").rename(folder / "stars of red")
    assert ingest(folder, encoder, store, progress=False).moved == 10
    assert "stars of red" in store.labels()
    assert "red star" not in store.labels()


def test_touched_files_are_looked_at_once_and_not_encoded(folder, encoder, store, monkeypatch):
    ingest(folder, encoder, store, progress=False)
    for path in list_images(folder):  # as after a change of the clocks
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 3_600_000_000_000))
    monkeypatch.setattr(encoder, "encode_pixels", None)
    assert ingest(folder, encoder, store, progress=False).unchanged == 50
    monkeypatch.setattr(ingestion, "content_digest", None)
    assert ingest(folder, encoder, store, progress=False).unchanged == 50


def test_copies_are_encoded_once(folder, encoder, store, monkeypatch):
    encode, passes = encoder.encode_pixels, []
    monkeypatch.setattr(encoder, "encode_pixels", lambda p: passes.append(len(p)) or encode(p))
    star = folder / "red star" / "red-star-01.jpg"
    for number in range(3):
        shutil.copy(star, folder / f"{number}.jpg")
    report = ingest(folder, encoder, store, progress=False)
    assert (report.inserted, report.found, sum(passes)) == (53, 53, 50)
    shutil.copy(star, folder / "late.jpg")
    assert ingest(folder, encoder, store, progress=False).inserted == 1
    assert sum(passes) == 50
    rows = stored(store, "vector", "digest")
    copies = [rows[name] for name in ("0.jpg", "late.jpg", "red star/red-star-01.jpg")]
    assert all(row["vector"] == copies[0]["vector"] for row in copies)
    assert len({row["digest"] for row in copies}) == 1


def test_a_copy_of_a_file_that_vanishes_is_encoded_itself(folder, encoder, store, monkeypatch):
    first = list_images(folder)[0]
    copy = first.with_name("zzz.jpg")
    shutil.copy(first, copy)

    def vanish_first(image, edge):
        first.unlink(missing_ok=True)
        return read_image(image, edge)

    monkeypatch.setattr(encoder_module, "read_image", vanish_first)
    report = ingest(folder, encoder, store, progress=False)
    gone, there = (path.relative_to(folder).as_posix() for path in (first, copy))
    assert (report.inserted, [name for name, _ in report.skipped]) == (50, [gone])
    assert there in stored(store)


def test_only_files_of_a_size_that_is_known_are_read_before_they_are_encoded(
    folder, encoder, store, monkeypatch
):
    ingest(folder, encoder, store, progress=False)
    read = []
    monkeypatch.setattr(
        ingestion,
        "content_digest",
        lambda file: read.append(file.path.name) or content_digest(file),
    )
    shutil.copy(list_images(folder)[0], folder / "known.jpg")
    Image.new("RGB", (999, 9)).save(folder / "of its own size.png")
    for name, pixel in (("1.bmp", "red"), ("2.bmp", "blue")):
        Image.new("RGB", (33, 33), pixel).save(folder / name)
    assert ingest(folder, encoder, store, progress=False).inserted == 4
    assert sorted(read) == ["1.bmp", "2.bmp", "known.jpg"]
    rows = stored(store, "digest")
    assert rows["1.bmp"]["digest"] != rows["2.bmp"]["digest"]


def test_copies_of_a_file_that_cannot_be_read_are_all_skipped(encoder, store, tmp_path):
    (tmp_path / "bad").mkdir()
    for number in range(3):
        (tmp_path / "bad" / f"{number}.jpg").write_text("no image")
    report = ingest(tmp_path / "bad", encoder, store, progress=False)
    assert [name for name, _ in report.skipped] == ["0.jpg", "1.jpg", "2.jpg"]


def test_another_content_of_the_same_size_is_encoded(folder, encoder, store):
    ingest(folder, encoder, store, progress=False)
    first = list_images(folder)[0]
    content = bytearray(first.read_bytes())
    content[-20] ^= 1
    first.write_bytes(content)
    assert ingest(folder, encoder, store, progress=False).updated == 1


def test_a_photo_replaced_by_a_copy_of_another_gets_its_vector(folder, encoder, store):
    ingest(folder, encoder, store, progress=False)
    first, second = list_images(folder)[:2]
    shutil.copy(second, first)
    assert ingest(folder, encoder, store, progress=False).updated == 1
    rows = stored(store, "vector")
    names = [path.relative_to(folder).as_posix() for path in (first, second)]
    assert rows[names[0]]["vector"] == rows[names[1]]["vector"]


@pytest.mark.parametrize("at_once", [500, 1])
def test_photos_that_change_places_keep_their_own_vectors(
    folder, encoder, store, monkeypatch, at_once
):
    ingest(folder, encoder, store, progress=False)
    before = {row["digest"]: row["vector"] for row in stored(store, "digest", "vector").values()}
    paths = list_images(folder)[:6]
    paths[0].rename(folder / "aside")
    for path, place in zip([*paths[1:], folder / "aside"], paths, strict=True):
        path.rename(place)  # each to the place of the one before
    monkeypatch.setattr(ingestion, "_READ_AHEAD", at_once)
    assert ingest(folder, encoder, store, progress=False).updated == 6
    rows = stored(store, "digest", "vector")
    for name, row in rows.items():
        assert row["digest"] == content_digest(folder / name)
        assert np.dot(row["vector"], before[row["digest"]]) > 0.9999


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_photos_move_across_shards(folder, encoder, store, monkeypatch, order):
    ingest(folder, encoder, store, progress=False)
    move_below(folder, "2019")
    monkeypatch.setattr(encoder, "encode_pixels", None)
    reports = [ingest(folder, encoder, store, shard=(i, 3), progress=False) for i in order]
    assert (sum(report.moved for report in reports), store.count()) == (50, 50)


@pytest.mark.parametrize("shards", [1, 3])
def test_rows_that_a_killed_run_left_where_a_photo_was_go_away(
    folder, encoder, store, monkeypatch, shards
):
    ingest(folder, encoder, store, progress=False)
    move_below(folder, "2019")
    with monkeypatch.context() as patched:
        patched.setattr(store, "delete", lambda ids: None)
        ingest(folder, encoder, store, progress=False)
    assert store.count() == 100
    for i in range(shards):
        ingest(folder, encoder, store, shard=(i, shards), progress=False)
    assert store.count() == 50


def test_a_copy_whose_disk_is_not_mounted_keeps_its_row(folder, encoder, store):
    shutil.copytree(folder / "red star", folder / "backup")
    ingest(folder, encoder, store, progress=False)
    (folder / "backup").rename(folder.parent / "unplugged")
    assert ingest(folder, encoder, store, progress=False).unchanged == 50
    with pytest.raises(ValueError, match=r"10 of 60 images: .* missing: backup \(10\)"):
        ingest(folder, encoder, store, prune=True, progress=False)
    assert store.count() == 60


def test_copies_that_move_together_each_take_their_own_row_along(folder, encoder, store):
    shutil.copytree(folder / "red star", folder / "copies")
    ingest(folder, encoder, store, progress=False)
    move_below(folder, "2019")
    report = ingest(folder, encoder, store, progress=False)
    assert (report.moved, report.inserted, store.count()) == (60, 0, 60)


def test_what_others_added_to_a_row_moves_along(folder, encoder, store):
    ingest(folder, encoder, store, progress=False)
    (row,) = store.get([image_id("red star/red-star-01.jpg")])
    store.upsert([row | {"stars": 5}])
    move_below(folder, "2019")
    ingest(folder, encoder, store, progress=False)
    assert store.get([image_id("2019/red star/red-star-01.jpg")])[0]["stars"] == 5


def test_a_collection_without_digests_gets_them_as_files_are_read(
    folder, encoder, store, monkeypatch
):
    with monkeypatch.context() as patched:
        without = [column for column in columns.COLUMNS if column.name != "digest"]
        patched.setattr(columns, "COLUMNS", without)
        ingest(folder, encoder, store, progress=False)
    assert ingest(folder, encoder, store, progress=False).unchanged == 50
    move_below(folder, "2019")
    assert ingest(folder, encoder, store, progress=False).inserted == 50
    assert ingest(folder, encoder, store, prune="all", progress=False).removed == 50
    move_below(folder, "2020")
    assert ingest(folder, encoder, store, progress=False).moved == 50


def test_pruning_a_folder_that_is_missing_or_empty_is_refused_with_the_numbers(
    folder, encoder, store
):
    shutil.copy(folder / "red star" / "red-star-01.jpg", folder / "alone.jpg")
    (folder / "one").mkdir()
    (folder / "alone.jpg").rename(folder / "one" / "alone.jpg")
    ingest(folder, encoder, store, progress=False)
    shutil.rmtree(folder / "red star")
    (folder / "one" / "alone.jpg").unlink()
    with pytest.raises(
        ValueError, match=r"11 of 51 images: .* missing: one \(1\), red star \(10\)"
    ):
        ingest(folder, encoder, store, prune=True, progress=False)
    assert store.count() == 51
    assert ingest(folder, encoder, store, prune="all", progress=False).removed == 11


def test_pruning_more_than_a_fifth_is_refused_with_the_numbers(folder, encoder, store):
    ingest(folder, encoder, store, progress=False)
    paths = list_images(folder)
    for path in paths[::5]:
        path.unlink()
    report = ingest(folder, encoder, store, prune=True, progress=False)
    assert (report.removed, store.count()) == (10, 40)
    for path in [path for path in paths if path.exists()][::4]:
        path.unlink()
    with pytest.raises(ValueError, match="10 of 40 images: that is more than a fifth"):
        ingest(folder, encoder, store, prune=True, progress=False)
    assert store.count() == 40


def test_photos_that_moved_do_not_count_when_pruning(folder, encoder, store):
    ingest(folder, encoder, store, progress=False)
    (folder / "red star" / "red-star-01.jpg").unlink()
    (folder / "red star").rename(folder / "stars of red")
    report = ingest(folder, encoder, store, prune=True, progress=False)
    assert (report.moved, report.removed, store.count()) == (9, 1, 49)


def test_rows_of_what_is_no_longer_listed_are_pruned(folder, encoder, store, monkeypatch):
    thumb = folder / "@eaDir" / "red-star-01.jpg" / "SYNOPHOTO_THUMB_XL.jpg"
    thumb.parent.mkdir(parents=True)
    thumb.write_bytes((folder / "red star" / "red-star-01.jpg").read_bytes() + b" ")
    with monkeypatch.context() as patched:  # as before leftovers were known
        patched.setattr(files, "leftover", lambda *name: "")
        assert ingest(folder, encoder, store, progress=False).inserted == 51
    assert ingest(folder, encoder, store, progress=False).removed == 0
    assert ingest(folder, encoder, store, prune="all", progress=False).removed == 1


def test_a_row_under_a_links_name_gives_way_to_that_of_the_real_path(folder, encoder, store):
    if sys.platform == "win32":
        pytest.skip("Windows lets few users make links")
    first = list_images(folder)[0]
    (folder / "favourite.jpg").hardlink_to(first)
    assert ingest(folder, encoder, store, progress=False).inserted == 51
    (folder / "favourite.jpg").unlink()
    (folder / "favourite.jpg").symlink_to(first)
    report = ingest(folder, encoder, store, prune=True, progress=False)
    assert (report.unchanged, report.removed) == (50, 1)
    assert "favourite.jpg" not in stored(store)


def test_hard_links_are_two_files(folder, encoder, store):
    first = list_images(folder)[0]
    (folder / "again.jpg").hardlink_to(first)
    for _ in range(2):
        ingest(folder, encoder, store, progress=False)
        for part in range(2):
            ingest(folder, encoder, store, shard=(part, 2), progress=False)
        assert store.count() == 51


def test_half_a_library_that_is_not_mounted_survives_a_careless_prune(folder, encoder, store):
    move_below(folder, "disk")
    shutil.copytree(folder / "disk" / "red star", folder / "here")
    for path in list_images(folder / "here"):
        path.write_bytes(path.read_bytes() + b" ")
    ingest(folder, encoder, store, progress=False)
    (folder / "disk").rename(folder.parent / "unplugged")
    (folder / "disk").mkdir()
    with pytest.raises(ValueError, match="Is a disk not mounted"):
        ingest(folder, encoder, store, prune=True, progress=False)
    (folder / "disk").rmdir()
    (folder.parent / "unplugged").rename(folder / "disk")
    assert ingest(folder, encoder, store, prune=True, progress=False).unchanged == 60


def test_the_first_error_is_the_one_that_is_told(folder, encoder, store, monkeypatch):
    def fail(what):
        raise ConnectionError(what)

    monkeypatch.setattr(store, "upsert", lambda rows: fail("upsert failed"))
    monkeypatch.setattr(store, "flush", lambda: fail("flush failed"))
    with pytest.raises(ConnectionError, match="upsert failed"):
        ingest(folder, encoder, store, progress=False)


def test_pruning_what_is_not_seen_whole_is_refused(folder, encoder, store, tmp_path):
    ingest(folder, encoder, store, progress=False)
    for part in ({"limit": 5}, {"shard": (0, 2)}):
        with pytest.raises(ValueError, match="needs to see all images"):
            ingest(folder, encoder, store, prune=True, **part)
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(ValueError, match="holds no image"):
        ingest(folder, encoder, store, prune=True)
    with pytest.raises(ValueError, match="nothing would be left"):
        ingest(folder, encoder, store, recreate=True)
    assert store.count() == 50


def test_shards_are_disjoint_and_together_complete(folder, encoder, store):
    reports = [ingest(folder, encoder, store, shard=(i, 3), progress=False) for i in range(3)]
    assert sum(report.inserted for report in reports) == store.count() == 50
    assert all(report.inserted for report in reports)


def test_a_shard_reads_only_its_own_rows(folder, encoder, store, monkeypatch):
    ingest(folder, encoder, store, progress=False)
    rows, read = store.rows, []
    monkeypatch.setattr(
        store, "rows", lambda *asked, **more: (read.append(r) or r for r in rows(*asked, **more))
    )
    found = [ingest(folder, encoder, store, shard=(i, 4), progress=False) for i in range(4)]
    assert sum(report.unchanged for report in found) == len(read) == 50


def test_an_image_stays_in_its_shard_when_the_folder_grows(folder, encoder, store):
    ingest(folder, encoder, store, shard=(0, 2), progress=False)
    before = stored(store).keys()
    for path in list_images(folder):
        shutil.copy(path, path.with_name(f"a copy of {path.name}"))
    ingest(folder, encoder, store, shard=(0, 2), progress=False)
    after = {name for name in stored(store) if "a copy of" not in name}
    assert (before, store.count() < 100) == (after, True)


def test_limit_takes_the_first_images(folder, encoder, store):
    assert ingest(folder, encoder, store, limit=7, progress=False).found == 7
    first = [path.relative_to(folder).as_posix() for path in list_images(folder)[:7]]
    assert sorted(stored(store)) == first


def test_recreate_starts_afresh_with_another_model(folder, encoder, other_encoder, store):
    ingest(folder, encoder, store, progress=False)
    with pytest.raises(ValueError, match="was filled by the model"):
        ingest(folder, other_encoder, store, progress=False)
    report = ingest(folder, other_encoder, store, recreate=True, limit=9, progress=False)
    assert (report.inserted, store.count()) == (9, 9)


@pytest.mark.parametrize("flag", ["recreate", "prune"])
def test_a_flag_that_is_no_bool_is_refused_and_nothing_is_lost(folder, encoder, store, flag):
    ingest(folder, encoder, store, progress=False)
    shutil.rmtree(folder / "red star")
    for value in ("false", "true", "", 0, 1, None):
        with pytest.raises(TypeError, match=f"{flag} is True or False, not {value!r}"):
            ingest(folder, encoder, store, **{flag: value})
    assert store.count() == 50


def test_recreate_with_a_folder_that_is_missing_loses_nothing(folder, encoder, store, tmp_path):
    ingest(folder, encoder, store, progress=False)
    with pytest.raises(FileNotFoundError, match="gone"):
        ingest(tmp_path / "gone", encoder, store, recreate=True)
    assert store.count() == 50


def test_a_folder_that_moved_is_followed(folder, encoder, store, tmp_path):
    ingest(folder, encoder, store, progress=False)
    moved = folder.rename(tmp_path / "moved")
    with ImageStore(tmp_path / "milvus.db", image_dir=moved) as again:
        assert ingest(moved, encoder, again, progress=False).unchanged == 50
        assert search("x", encoder, again)[0].path.exists()


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"shard": (2, 2)}, {"batch_size": 0}])
def test_an_argument_that_makes_no_sense_is_refused_first(wrong, folder, encoder, store):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ingest(folder, encoder, store, recreate=True, **wrong)
    assert store.properties == {}


FIRST = ["filepath", "label", "width", "height", "size", "mtime"]
FORMATS = {
    "of 0.1.0": FIRST,
    "with digests, before formats had a number": [*FIRST, "digest", "moved_from"],
}


@pytest.mark.parametrize("names", FORMATS.values(), ids=FORMATS)
def test_a_collection_of_an_earlier_version_goes_on_and_says_what_its_rows_lack(
    folder, encoder, store, monkeypatch, names
):
    with monkeypatch.context() as earlier:
        before = [column for column in columns.COLUMNS if column.name in names]
        earlier.setattr(columns, "COLUMNS", before)
        earlier.setattr(columns, "FORMAT", 0)
        ingest(folder, encoder, store, progress=False)
    written = stored(store, "vector", "format")
    shutil.copy(list_images(folder)[0], folder / "new.jpg")
    (folder / "new.jpg").write_bytes((folder / "new.jpg").read_bytes() + b" ")
    report = ingest(folder, encoder, store, progress=False)
    assert (report.unchanged, report.inserted, report.updated) == (50, 1, 0)
    assert re.search("50 rows are of an earlier version.* into another coll", report.note)
    rows = stored(store, "vector", "format", "taken")
    assert rows.pop("new.jpg")["format"] == columns.FORMAT
    assert {name: (row["vector"], row["format"]) for name, row in rows.items()} == {
        name: (row["vector"], 0) for name, row in written.items()
    }
    assert {row["taken"] for row in rows.values()} == {columns.named("taken").empty}
    assert len(search("x", encoder, store, limit=60)) == 51
    for path in list_images(folder)[1:10]:
        path.unlink()
    assert ingest(folder, encoder, store, prune=True, progress=False).removed == 9
    move_below(folder, "2019")
    known = "moved" if "digest" in names else "inserted"
    assert getattr(ingest(folder, encoder, store, progress=False), known) == 42 - (known != "moved")


def test_a_collection_of_this_version_has_nothing_to_say_of_its_rows(folder, encoder, store):
    assert ingest(folder, encoder, store, progress=False).note == ""


def test_a_report_of_an_interrupted_run_says_what_to_do():
    assert "Run it again" in IngestReport(found=9, inserted=3, interrupted=True)._repr_html_()
    assert "Run it again" not in IngestReport(found=9, inserted=9)._repr_html_()


def test_what_was_left_out_is_in_the_report_and_its_table(folder, encoder, store):
    (folder / "IMG_1").write_bytes(list_images(folder)[0].read_bytes())
    report = ingest(folder, encoder, store, progress=False)
    assert report.to_frame().loc[0, "left_out"] == 1
    for shown in (repr(report), report._repr_html_()):
        assert "without an image's ending" in shown
        assert "IMG_1" in shown


def test_the_report_is_a_table(folder, encoder, store):
    (folder / "empty.jpg").touch()
    report = ingest(folder, encoder, store, progress=False)
    counts = report.to_frame().loc[0, ["found", "inserted", "unchanged", "skipped"]]
    assert counts.tolist() == [51, 50, 0, 1]
    assert "<table" in report._repr_html_()
