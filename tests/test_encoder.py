import hashlib
import http.server
import os
import threading
import warnings

import clip
import models
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from helpers import ClipEncoder, encoder, list_images, load_image

CAPTIONS = ["a white dog", "two blue fish on a yellow background", "a photo of a star"]


def encode_image(model, preprocess, path):
    """Encode an image as the tutorial does: one at a time, divided by its norm."""
    with torch.no_grad():
        features = model.encode_image(preprocess(Image.open(path)).unsqueeze(0))
        return (features / features.norm(dim=-1, keepdim=True)).squeeze().tolist()


def encode_text(model, text):
    """Encode a text as the tutorial does."""
    with torch.no_grad():
        features = model.encode_text(clip.tokenize(text))
        return (features / features.norm(dim=-1, keepdim=True)).squeeze().tolist()


def cosines_with_the_tutorial(ours: ClipEncoder, path, images) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit.load warns that it will go
        model, preprocess = clip.load(str(path), device="cpu")
    pictures = np.array([encode_image(model, preprocess, image) for image in images])
    texts = np.array([encode_text(model, text) for text in CAPTIONS])
    by_us = np.concatenate([ours.encode_images(images), ours.encode_texts(CAPTIONS)])
    return (np.concatenate([pictures, texts]) * by_us).sum(axis=1)


@pytest.fixture
def photos(tmp_path) -> list:
    """Images of photo-like noise, colours and sizes: landscape, portrait, grey, PNG."""
    rng = np.random.default_rng(0)
    paths = []
    for index, size in enumerate([(500, 375), (375, 500), (64, 48), (900, 300)]):
        coarse = Image.fromarray(rng.integers(0, 255, (9, 12, 3), dtype=np.uint8))
        path = tmp_path / f"{index}.{'png' if index == 2 else 'jpg'}"
        image = coarse.resize(size, Image.Resampling.BICUBIC)
        (image.convert("L") if index == 3 else image).save(path, quality=90)
        paths.append(path)
    return paths


def test_the_tiny_model_agrees_with_the_tutorials_functions(drawings, photos):
    path = encoder.checkpoint_path("tiny")
    images = [*list_images(drawings)[::5], *photos]
    assert cosines_with_the_tutorial(ClipEncoder("tiny", device="cpu"), path, images).min() > 0.999


@pytest.mark.parametrize("jit", [False, True], ids=["state dict", "TorchScript archive"])
def test_a_full_size_model_agrees_with_the_tutorials_functions(drawings, photos, tmp_path, jit):
    path = models.save_random_clip(tmp_path / "vit.pt", models.VIT_B_32, jit=jit)
    ours = ClipEncoder(path, device="cpu")
    assert (ours.dim, ours.name) == (512, "vit.pt")
    assert cosines_with_the_tutorial(ours, path, [*list_images(drawings)[::10], *photos]).min() > (
        0.999
    )


@pytest.fixture
def published(tmp_path, monkeypatch, request):
    """Publish an archive on a local server, where clip looks for ViT-B/32."""
    monkeypatch.setattr(encoder, "_CACHE", tmp_path / "cache")
    site = tmp_path / "site"
    site.mkdir()
    sizes = getattr(request, "param", models.SMALL)
    archive = models.save_random_clip(site / "ViT-B-32.pt", sizes, jit=True)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    archive.rename((site / digest).with_suffix(".tmp"))
    (site / digest).mkdir()
    (site / digest).with_suffix(".tmp").rename(site / digest / "ViT-B-32.pt")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(site))

        def log_message(self, *args):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{httpd.server_port}/{digest}/ViT-B-32.pt"
    monkeypatch.setitem(encoder._MODELS, "ViT-B/32", url)
    yield site / digest / "ViT-B-32.pt"
    httpd.shutdown()
    httpd.server_close()


@pytest.mark.parametrize("published", [models.VIT_B_32], ids=["full size"], indirect=True)
def test_published_weights_come_by_clips_own_download(published, drawings, photos):
    ours = ClipEncoder("ViT-B/32", device="cpu")
    assert (ours.name, ours.dim) == ("ViT-B/32", 512)
    assert [path.name for path in encoder._CACHE.iterdir()] == ["ViT-B-32.pt"]
    assert ours.digest == hashlib.sha256(published.read_bytes()).hexdigest()
    images = [*list_images(drawings)[::10], *photos]
    assert cosines_with_the_tutorial(ours, published, images).min() > 0.999


def test_weights_that_arrive_broken_are_not_kept(published):
    published.write_bytes(published.read_bytes()[:-100])
    with pytest.raises(ConnectionError, match="SHA256"):
        ClipEncoder("ViT-B/32")
    assert list(encoder._CACHE.iterdir()) == []


def test_another_file_in_the_place_of_published_weights_is_refused(published, checkpoint):
    encoder._CACHE.mkdir()
    (encoder._CACHE / "ViT-B-32.pt").write_bytes(checkpoint.read_bytes())
    with pytest.raises(ValueError, match=r"ViT-B-32.pt is not the file that OpenAI published"):
        ClipEncoder("ViT-B/32", device="cpu")


def test_weights_that_cannot_be_had_say_what_to_do(published, monkeypatch):
    monkeypatch.setitem(encoder._MODELS, "ViT-B/32", "http://127.0.0.1:9/sum/ViT-B-32.pt")
    with pytest.raises(ConnectionError, match=r"put that file at .*ViT-B-32.pt by hand.*demo"):
        ClipEncoder("ViT-B/32")


def test_weights_put_there_by_hand_need_no_network(published, monkeypatch):
    encoder._CACHE.mkdir()
    (encoder._CACHE / "ViT-B-32.pt").write_bytes(published.read_bytes())
    url = f"http://127.0.0.1:9/{published.parent.name}/ViT-B-32.pt"
    monkeypatch.setitem(encoder._MODELS, "ViT-B/32", url)
    assert ClipEncoder("ViT-B/32", device="cpu").dim == 64


def test_an_unknown_model_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'ViT-B/33'; known: .*ViT-B/32.*tiny"):
        ClipEncoder("ViT-B/33")


def test_a_file_that_is_no_checkpoint_is_named(tmp_path):
    (tmp_path / "notes.pt").write_text("not a model")
    with pytest.raises(ValueError, match=r"notes.pt is not a whole CLIP checkpoint"):
        ClipEncoder(tmp_path / "notes.pt")
    with pytest.raises(FileNotFoundError, match=r"gone\.pt"):
        ClipEncoder(tmp_path / "gone.pt")


def test_an_unknown_device_or_precision_says_so(checkpoint):
    with pytest.raises(ValueError, match="device 'abacus'"):
        ClipEncoder(checkpoint, device="abacus")
    with pytest.raises(ValueError, match="unknown precision 'float8'"):
        ClipEncoder(checkpoint, precision="float8")
    with pytest.raises(ValueError, match="float16 needs CUDA"):
        ClipEncoder(checkpoint, device="cpu", precision="float16")


def test_vectors_are_float32_of_unit_length_in_any_batch_size(encoder, drawings):
    images = list_images(drawings)[:7]
    vectors = encoder.encode_images(images, batch_size=3)
    assert (vectors.shape, vectors.dtype) == ((7, encoder.dim), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.allclose(vectors, encoder.encode_images(iter(images), batch_size=7), atol=1e-5)


def test_nothing_gives_an_empty_array(encoder):
    assert encoder.encode_images([]).shape == (0, encoder.dim)
    assert encoder.encode_texts([]).shape == (0, encoder.dim)


def test_one_thing_instead_of_several_is_refused(encoder):
    with pytest.raises(TypeError, match="put it into a list"):
        encoder.encode_texts("a dog")
    with pytest.raises(TypeError, match="put it into a list"):
        encoder.encode_images("dog.jpg")


def test_several_templates_give_their_normalised_mean(encoder):
    templates = ["a photo of a {}", "a drawing of a {}"]
    mean = encoder.encode_texts(["a photo of a cat", "a drawing of a cat"]).mean(axis=0)
    vector = encoder.encode_texts(["cat"], templates)[0]
    assert np.allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)
    with pytest.raises(ValueError, match="templates need"):
        encoder.encode_texts(["cat"], ["no place"])


def test_a_text_that_is_too_long_is_cut_with_a_warning_that_names_it(encoder):
    long = "very " * 100 + "long"
    with pytest.warns(UserWarning, match="77 tokens, the rest is cut: 'very very"):
        vectors = encoder.encode_texts(["short", long])
    assert np.allclose(vectors[0], encoder.encode_texts(["short"])[0], atol=1e-6)


def test_a_photo_is_encoded_upright(encoder, tmp_path, photos):
    upright = Image.open(photos[0])
    for orientation, turn in [(3, 180), (6, 90), (8, 270)]:
        exif = Image.Exif()
        exif[0x0112] = orientation
        upright.rotate(turn, expand=True).save(tmp_path / "turned.png", exif=exif)
        upright.save(tmp_path / "upright.png")
        turned, plain = encoder.encode_images([tmp_path / "turned.png", tmp_path / "upright.png"])
        assert turned @ plain > 0.9999


def _sixteen_bits(image):
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


@pytest.mark.parametrize(
    ("name", "convert"),
    [
        ("grey.png", lambda image: image.convert("L")),
        ("cmyk.jpg", lambda image: image.convert("CMYK")),
        ("sixteen.png", _sixteen_bits),
        ("alpha.png", lambda image: image.convert("RGBA")),
        ("bits.png", lambda image: image.convert("1")),
        ("palette.gif", lambda image: image.quantize(64)),
    ],
)
def test_any_kind_of_image_becomes_rgb_that_looks_the_same(tmp_path, photos, name, convert):
    image = Image.open(photos[0])
    convert(image).save(tmp_path / name)
    loaded = load_image(tmp_path / name)
    assert loaded.mode == "RGB"
    plain = image.convert("L") if name == "sixteen.png" else convert(image)
    difference = np.asarray(loaded, float) - np.asarray(plain.convert("RGB"), float)
    assert np.abs(difference).mean() < 6


def test_what_is_transparent_is_white(tmp_path):
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    image.save(tmp_path / "clear.png")
    image.convert("P").save(tmp_path / "palette.png", transparency=0)
    assert load_image(tmp_path / "clear.png").getpixel((4, 4)) == (255, 255, 255)
    assert load_image(tmp_path / "palette.png").getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "format not known"), (b"<html>", "format not known")]
)
def test_a_file_that_is_no_image_is_named_with_the_reason(tmp_path, content, reason):
    (tmp_path / "bad.jpg").write_bytes(content)
    with pytest.raises(OSError, match=rf"bad.jpg: cannot be read as an image \({reason}\)"):
        load_image(tmp_path / "bad.jpg")


def test_a_truncated_photo_is_an_error_and_not_half_a_picture(tmp_path, photos):
    content = photos[0].read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(OSError, match=r"cut.jpg: cannot be read as an image"):
        load_image(tmp_path / "cut.jpg")


def test_weights_that_give_no_numbers_are_noticed(checkpoint, drawings):
    broken = ClipEncoder(checkpoint, device="cpu")
    broken.model.visual.proj.data[:] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        broken.encode_images(list_images(drawings)[:1])


def test_pil_images_paths_and_strings_are_the_same(encoder, drawings):
    path = list_images(drawings)[0]
    with Image.open(path) as image:
        kinds = [path, os.fspath(path), ImageOps.exif_transpose(image), encoder.prepare(image)]
        vectors = encoder.encode_images(kinds)
    assert np.allclose(vectors, vectors[0], atol=1e-6)


def test_a_very_long_image_is_cut_round_its_centre_before_it_is_scaled(encoder, monkeypatch):
    image = Image.new("RGB", (4, 20_000), "red")
    image.paste("blue", (0, 9_900, 4, 10_100))
    blue = encoder.prepare(Image.new("RGB", (32, 32), "blue"))
    sizes, preprocess = [], encoder.preprocess
    monkeypatch.setattr(encoder, "preprocess", lambda i: sizes.append(i.size) or preprocess(i))
    assert np.allclose(encoder.prepare(image), blue, atol=1e-5)
    assert sizes == [(4, 80)]


def test_heic_without_its_package_says_which_one(tmp_path):
    (tmp_path / "x.HEIC").write_bytes(b"not known to Pillow alone")
    with pytest.raises(OSError, match=r"x.HEIC: HEIC photos need a package: pip install"):
        load_image(tmp_path / "x.HEIC")
