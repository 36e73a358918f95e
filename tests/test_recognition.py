import shutil

from PIL import Image

from helpers import ingest
from helpers.images.files import list_images, look_at
from helpers.images.pictures import content_digest
from helpers.recognition import by_digest, recognise, rows_of_these_sizes


def looked_at(folder):
    return [look_at(path, folder) for path in list_images(folder)]


def test_only_files_of_a_size_that_is_known_are_read(drawings, encoder, store, tmp_path):
    ingest(drawings, encoder, store, progress=False)
    folder = tmp_path / "more"
    folder.mkdir()
    shutil.copy(list_images(drawings)[0], folder / "known.jpg")
    Image.new("RGB", (999, 9)).save(folder / "of its own size.png")
    ((known, new),) = recognise(looked_at(folder), rows_of_these_sizes(looked_at(folder), store))
    assert known.digest == content_digest(folder / "known.jpg")
    assert [row["filepath"] for row in known.rows] == [
        list_images(drawings)[0].relative_to(drawings).as_posix()
    ]
    assert (new.digest, new.rows) == ("", [])


def test_files_of_one_size_are_told_apart_before_any_is_known(tmp_path):
    for name, content in {"a": b"one", "b": b"two", "c": b"one"}.items():
        (tmp_path / f"{name}.jpg").write_bytes(content)
    ((a, b, c),) = recognise(looked_at(tmp_path), [])
    assert a.digest == c.digest != b.digest
    assert a.rows == b.rows == c.rows == []


def test_a_file_that_cannot_be_read_has_no_digest(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"one")
    files = looked_at(tmp_path)
    (tmp_path / "a.jpg").unlink()
    ((gone, there),) = recognise(files, [])
    assert (gone.digest, there.digest != "") == ("", True)


def test_rows_without_a_digest_have_no_content_in_common():
    rows = [{"id": i, "digest": digest} for i, digest in enumerate(["a", "", "b", "a", ""])]
    ids = {digest: [row["id"] for row in found] for digest, found in by_digest(rows).items()}
    assert ids == {"a": [0, 3], "b": [2]}
