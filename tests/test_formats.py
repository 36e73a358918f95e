from PIL import Image

from helpers import ingest, list_images, search
from helpers.images import formats


def test_one_more_format_is_an_extension_more(tmp_path, monkeypatch, encoder, store):
    Image.effect_noise((40, 30), 80).save(tmp_path / "a.ppm")
    assert list_images(tmp_path) == []
    monkeypatch.setattr(formats, "IMAGE_EXTENSIONS", formats.IMAGE_EXTENSIONS | {".ppm"})
    assert ingest(tmp_path, encoder, store, progress=False).inserted == 1
    assert search("x", encoder, store)[0].filepath == "a.ppm"
