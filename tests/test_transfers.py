"""What comes into the panel as files, and goes out of it. The panel's own tests try the rest."""

import shutil

import pytest

from helpers import ingest, search
from helpers.views.transfers import Uploads, copy_photos


def test_an_upload_comes_in_pieces_and_a_new_one_forgets_those_of_the_last(photos, tmp_path):
    uploads = Uploads(tmp_path / "uploads")
    content = memoryview(photos[0].read_bytes())
    assert uploads.take("lost.jpg", True, False, content[:100]) is None
    assert uploads.take("a.jpg", True, False, content[:50]) is None
    kept = uploads.take("a.jpg", False, True, content[50:])
    assert kept.read_bytes() == content
    with pytest.raises(OSError, match=r"^b\.jpg"):
        uploads.take("b.jpg", True, True, memoryview(b"no image"))
    assert list((tmp_path / "uploads").iterdir()) == [kept]


def test_photos_that_are_gone_are_left_out_and_counted(drawings, encoder, store, tmp_path):
    images = shutil.copytree(drawings, tmp_path / "images")
    ingest(images, encoder, store, progress=False)
    found = search("a star", encoder, store, limit=3)
    found[1].path.unlink()
    says = copy_photos(found, tmp_path / "copies")
    assert says == f"2 photos are in {tmp_path / 'copies'}; 1 is gone"
    found[0].path.unlink()
    assert "1 photo is in" in copy_photos(found, tmp_path / "copies")
    found[2].path.unlink()
    with pytest.raises(OSError, match="nothing was copied"):
        copy_photos(found, tmp_path / "others")
    assert not (tmp_path / "others").exists()
