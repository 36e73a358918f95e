import os

import pytest

from helpers import list_images, sample_images

from .support.processes import unprivileged


def test_images_are_listed_in_order_whatever_their_extensions_case(tmp_path):
    for name in ["b/2.JPG", "b/1.jpeg", "a.PNG", "c.txt", ".hidden.jpg", ".git/x.jpg", "d.WebP"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [p.relative_to(tmp_path).as_posix() for p in list_images(tmp_path)]
    assert names == ["a.PNG", "b/1.jpeg", "b/2.JPG", "d.WebP"]


def test_a_folder_that_is_missing_or_none_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone"):
        list_images(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file"):
        list_images(tmp_path / "file")


def test_a_folder_that_may_not_be_read_is_named(open_folder):
    (open_folder / "a").mkdir()
    (open_folder / "a" / "1.jpg").touch()
    closed = open_folder / "closed"
    closed.mkdir(mode=0)
    with unprivileged():
        with pytest.raises(PermissionError, match="closed"):
            list_images(closed)
        with pytest.warns(UserWarning, match="closed: folder left out"):
            found = list_images(open_folder)
    assert [p.name for p in found] == ["1.jpg"]


def test_a_sample_is_spread_over_the_folder_and_leaves_out_what_does_not_open(drawings, tmp_path):
    labels = [path.parent.name for path in sample_images(drawings, 5)]
    assert len(set(labels)) == 5
    for index, path in enumerate(list_images(drawings)[:7]):
        (tmp_path / f"{index}.jpg").write_bytes(path.read_bytes() if index % 2 else b"")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")  # opening it would wait for ever
    assert [path.name for path in sample_images(tmp_path, 9)] == ["1.jpg", "3.jpg", "5.jpg"]
