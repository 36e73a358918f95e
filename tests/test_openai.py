import hashlib
import http.server
import threading
from pathlib import Path

import pytest
import torch

from helpers import ClipEncoder, list_images
from helpers.models import openai as checkpoints

from .support import models
from .support.tutorial import cosines_with_the_tutorial, load


@pytest.fixture
def published(tmp_path, monkeypatch, request):
    """Publish an archive on a local server, where clip looks for ViT-B/32."""
    monkeypatch.setattr(checkpoints, "_CACHE", tmp_path / "cache")
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
    monkeypatch.setitem(checkpoints._MODELS, "ViT-B/32", url)
    yield site / digest / "ViT-B-32.pt"
    httpd.shutdown()
    httpd.server_close()


@pytest.mark.parametrize("published", [models.VIT_B_32], ids=["full size"], indirect=True)
def test_published_weights_come_by_clips_own_download(published, drawings, photos):
    ours = ClipEncoder("ViT-B/32", device="cpu", precision="bfloat16")
    assert (ours.name, ours.dim) == ("ViT-B/32", 512)
    assert [path.name for path in checkpoints._CACHE.iterdir()] == ["ViT-B-32.pt"]
    assert ours.digest == hashlib.sha256(published.read_bytes()).hexdigest()
    images = [*list_images(drawings)[::10], *photos]
    assert cosines_with_the_tutorial(ours, published, images).min() > 0.999


def test_a_path_is_a_path_even_where_a_model_is_called_so(published, checkpoint, monkeypatch):
    monkeypatch.chdir(published.parents[2])
    (Path("ViT-B")).mkdir()
    Path("ViT-B/32").write_bytes(checkpoint.read_bytes())
    own = ClipEncoder(Path("ViT-B/32"), device="cpu")
    assert (own.name, own.path) == ("32", Path("ViT-B/32").resolve())


def test_a_checkpoint_is_the_same_model_in_any_layout(published, tmp_path):
    content = ClipEncoder(published, device="cpu").content
    module = load(published)[0]
    torch.save(module.state_dict(), tmp_path / "float32.pt")
    torch.save(module.half().state_dict(), tmp_path / "float16.pt")
    for name in ("float32.pt", "float16.pt"):
        assert ClipEncoder(tmp_path / name, device="cpu").content == content, name
    module.visual.proj.data[0, 0] += 1
    torch.save(module.state_dict(), tmp_path / "one number differs.pt")
    assert ClipEncoder(tmp_path / "one number differs.pt", device="cpu").content != content


def test_weights_that_arrive_broken_are_not_kept(published):
    published.write_bytes(published.read_bytes()[:-100])
    with pytest.raises(ConnectionError, match="SHA256"):
        ClipEncoder("ViT-B/32")
    assert list(checkpoints._CACHE.iterdir()) == []


def test_another_file_in_the_place_of_published_weights_is_refused(published, checkpoint):
    checkpoints._CACHE.mkdir()
    (checkpoints._CACHE / "ViT-B-32.pt").write_bytes(checkpoint.read_bytes())
    with pytest.raises(ValueError, match=r"ViT-B-32.pt is not the file that OpenAI published"):
        ClipEncoder("ViT-B/32", device="cpu")


def test_weights_that_cannot_be_had_say_what_to_do(published, monkeypatch):
    monkeypatch.setitem(checkpoints._MODELS, "ViT-B/32", "http://127.0.0.1:9/sum/ViT-B-32.pt")
    with pytest.raises(ConnectionError, match=r"put that file at .*ViT-B-32.pt by hand.*demo"):
        ClipEncoder("ViT-B/32")


def test_weights_put_there_by_hand_need_no_network(published, monkeypatch):
    checkpoints._CACHE.mkdir()
    (checkpoints._CACHE / "ViT-B-32.pt").write_bytes(published.read_bytes())
    url = f"http://127.0.0.1:9/{published.parent.name}/ViT-B-32.pt"
    monkeypatch.setitem(checkpoints._MODELS, "ViT-B/32", url)
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
