import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from helpers import ClipEncoder, ImageStore, ingest, list_images, search
from helpers.encoding import unit_vectors
from helpers.images.pictures import load_image
from helpers.models import open_clip as family
from helpers.models import openai
from helpers.models.encoder import fetch

from .support import models
from .support.processes import ROOT, environment, python

open_clip = pytest.importorskip("open_clip", reason="an extra: pip install -e .[models]")

TEXTS = ["a white dog", "two blue fish on a yellow sofa", "star"]
CLOSE = 1e-4  # the largest difference of any entry


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """A folder for each kind of model."""
    root = tmp_path_factory.mktemp("open_clip")
    return {
        kind: models.save_open_clip(root / f"model {number}", kind)
        for number, kind in enumerate(models.OPEN_CLIP)
    }


def folder_with(described: Path, tmp_path: Path) -> Path:
    """Return a folder with the description of a model, and without its weights."""
    folder = tmp_path / "model"
    folder.mkdir()
    shutil.copy(described / "open_clip_config.json", folder)
    return folder


def opened(folder: Path, precision: str = "float32") -> ClipEncoder:
    return ClipEncoder(f"local-dir:{folder}", device="cpu", precision=precision)


@torch.inference_mode()
def difference(encoder: ClipEncoder, folder: Path, images: list[Image.Image]) -> dict[str, float]:
    """Return how far our vectors are from those of open_clip's own functions, entry by entry."""
    name = f"local-dir:{folder}"
    model, preprocess = open_clip.create_model_from_pretrained(name)
    tokens = open_clip.get_tokenizer(name)(TEXTS)
    pictures = model.encode_image(torch.stack(list(map(preprocess, images))), normalize=True)
    texts = model.encode_text(tokens, normalize=True)
    return {
        "images": float(abs(pictures.numpy() - encoder.encode_images(images)).max()),
        "texts": float(abs(texts.numpy() - encoder.encode_texts(TEXTS)).max()),
    }


@pytest.fixture
def pictures(photos) -> list[Image.Image]:
    """Not so large that we would reduce them while they are read."""
    images = map(load_image, photos)
    return [image.resize((image.width // 6, image.height // 6)) for image in images]


@pytest.mark.parametrize("kind", models.OPEN_CLIP)
def test_vectors_are_those_of_open_clip(folders, kind, pictures):
    encoder = opened(folders[kind])
    assert encoder.dim == models.OPEN_CLIP[kind][0]["embed_dim"]
    assert max(difference(encoder, folders[kind], pictures).values()) < CLOSE


@pytest.mark.parametrize("kind", models.OPEN_CLIP)
def test_the_parts_that_a_notebook_shows_give_the_same_vectors(folders, kind, pictures):
    encoder = opened(folders[kind])
    model, preprocess, tokenize = encoder.original()
    images = model.encode_image(torch.stack(list(map(preprocess, pictures)))).numpy()
    texts = model.encode_text(tokenize(TEXTS)).numpy()
    assert abs(unit_vectors(images) - encoder.encode_images(pictures)).max() < CLOSE
    assert abs(unit_vectors(texts) - encoder.encode_texts(TEXTS)).max() < CLOSE


def test_a_wrong_crop_would_be_noticed(folders, pictures, monkeypatch):
    folder = folders["not causal, squashed"]
    own = open_clip.transform.image_transform_v2

    def cropped(config, is_train):
        config.resize_mode = "shortest"
        return own(config, is_train)

    monkeypatch.setattr(open_clip.transform, "image_transform_v2", cropped)
    encoder = opened(folder)
    monkeypatch.undo()
    found = difference(encoder, folder, pictures)
    assert found["images"] > 10 * CLOSE
    assert found["texts"] < CLOSE


def test_padding_cut_where_it_counts_would_be_noticed(folders, pictures, monkeypatch):
    encoder = opened(folders["not causal, squashed"])
    own = encoder._model.tokenize
    longest = max(map(encoder._model.length, TEXTS))
    monkeypatch.setattr(encoder._model, "tokenize", lambda texts: own(texts)[:, :longest])
    found = difference(encoder, folders["not causal, squashed"], pictures)
    assert found["texts"] > 10 * CLOSE
    assert found["images"] < CLOSE


def test_the_wrong_gelu_would_be_noticed(folders, pictures, tmp_path):
    right = folders["with QuickGELU"]
    wrong = shutil.copytree(right, tmp_path / "wrong")
    config = json.loads((wrong / "open_clip_config.json").read_text())
    config["model_cfg"]["quick_gelu"] = False
    (wrong / "open_clip_config.json").write_text(json.dumps(config))
    found = difference(opened(wrong), right, pictures)
    assert min(found.values()) > 10 * CLOSE
    assert opened(wrong).digest != opened(right).digest


@pytest.mark.parametrize("kind", models.OPEN_CLIP)
def test_in_bfloat16_the_vectors_are_nearly_the_same(folders, kind, pictures):
    exact, rounded = opened(folders[kind]), opened(folders[kind], "bfloat16")
    assert rounded.precision == "bfloat16"
    cosines = (exact.encode_images(pictures) * rounded.encode_images(pictures)).sum(axis=1)
    assert cosines.min() > 0.999
    assert (exact.encode_texts(TEXTS) * rounded.encode_texts(TEXTS)).sum(axis=1).min() > 0.999


def test_texts_are_encoded_alone_as_in_a_batch(folders):
    encoder = opened(folders["causal, cropped"])
    together = encoder.encode_texts(TEXTS)
    again = opened(folders["causal, cropped"])
    alone = np.concatenate([again.encode_texts([text]) for text in TEXTS])
    assert abs(together - alone).max() < CLOSE
    assert encoder._model.tokenize(["a dog"]).shape == (1, 4)


@pytest.mark.parametrize(
    ("kind", "fits", "long"),
    [
        ("causal, cropped", "dog " * 75, "dog " * 76),
        ("not causal, squashed", "a" * 39, "a" * 40),
    ],
)
def test_a_text_that_is_cut_is_said(folders, kind, fits, long, recwarn):
    encoder = opened(folders[kind])
    encoder.encode_texts([fits])
    assert len(recwarn) == 0
    with pytest.warns(UserWarning, match=rf"tokens, the rest is cut: '{long[:12]}"):
        encoder.encode_texts(["dog", long])


def test_very_long_images_do_not_become_gigantic(folders):
    for folder in folders.values():
        encoder = opened(folder)
        edge = encoder.edge // 2
        assert encoder.prepare(Image.new("RGB", (4, 20_000))).shape == (3, edge, edge)


def test_a_folder_is_ingested_searched_and_kept_from_other_models(
    folders, drawings, encoder, tmp_path
):
    own = opened(folders["not causal, squashed"])
    with ImageStore(tmp_path / "milvus.db") as store:
        assert ingest(drawings, own, store, progress=False).inserted == 50
        first = list_images(drawings)[7]
        assert search(first, own, store)[0].path == first
        with pytest.raises(ValueError, match=r"filled by the model 'model 2' \(64-d\)"):
            search("a star", encoder, store)
        again = ClipEncoder(own.model_name, device="cpu", precision="float32")
        assert len(search("a star", again, store)) == 10


def test_a_file_may_take_the_place_of_a_tag(tmp_path, monkeypatch, folders):
    configs = {**open_clip.factory._MODEL_CONFIGS, "Small": models.OPEN_CLIP["causal, cropped"][0]}
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", configs)
    weights = folders["causal, cropped"] / "open_clip_model.safetensors"
    shutil.copy(weights, tmp_path / "mine.safetensors")
    monkeypatch.chdir(tmp_path)
    encoder = ClipEncoder("open_clip:Small/mine.safetensors", device="cpu", precision="float32")
    assert encoder.name == "Small/mine.safetensors"
    assert encoder.model_name == f"open_clip:Small/{tmp_path / 'mine.safetensors'}"
    assert encoder.path == tmp_path / "mine.safetensors"
    by_folder = opened(folders["causal, cropped"])
    assert np.array_equal(encoder.encode_texts(TEXTS), by_folder.encode_texts(TEXTS))


def test_openais_weights_get_openais_gelu_under_either_name(monkeypatch):
    monkeypatch.setattr(open_clip, "download_pretrained", lambda config: "there.pt")
    for architecture in ("ViT-B-32", "ViT-B-32-quickgelu"):
        assert family._locate(f"open_clip:{architecture}/openai").quick_gelu
    assert not family._locate("open_clip:ViT-B-32/laion2b_s34b_b79k").quick_gelu


@pytest.fixture
def offline(monkeypatch):
    """Let nothing be downloaded; the name of whatever would be is in the error."""

    def refuse(source, *_):
        raise RuntimeError(f"it asked for {source}")

    monkeypatch.setattr(open_clip.pretrained, "download_pretrained_from_hf", refuse)
    monkeypatch.setattr(open_clip, "download_pretrained", lambda listed: refuse(listed["hf_hub"]))
    monkeypatch.setattr(openai, "_fetch_weights", refuse)


VIT = "ViT-B/32, open_clip:ViT-B-32/openai, hf-hub:timm/vit_base_patch32_clip_224.openai, "
TIMM = "hf-hub:timm/ViT-B-16-SigLIP2, "
LAION = "hf-hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K, open_clip:ViT-B-32/laion2b_s34b_b79k, "


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("ViT-B-32", VIT),
        ("vit-b/32", VIT),
        ("VIT_B_32", VIT),
        ("vitb32", "ViT-B/32, open_clip:ViT-B-32/openai, "),
        ("“ViT-B/32”", VIT),
        ("clip-ViT-B-32", VIT),
        ("openai/clip-vit-base-patch32", VIT),
        ("ViT-B-32/openai", VIT),
        ("ViT-B-32__openai", VIT),
        ("ViT-B/32@openai", "ViT-B/32, ViT-B/16, "),
        ("ViT-L-14-336", "ViT-L/14@336px, open_clip:ViT-L-14-336/openai, "),
        ("openai/clip-vit-large-patch14-336", "ViT-L/14@336px, open_clip:ViT-L-14-336/openai, "),
        ("rn50x4", "RN50x4, open_clip:RN50x4/openai, "),
        ("timm/ViT-B-16-SigLIP2", TIMM),
        ("https://hub.test/timm/ViT-B-16-SigLIP2/tree/main", TIMM),
        ("HF-HUB:timm/ViT-B-16-SigLIP2", TIMM),
        ("hf-hub:ViT-B-16-SigLIP2", TIMM),
        ("hf-hub:timm/ViT-B-16-SigLIP2@main", TIMM),
        ("hf-hub:", ""),
        ("google/siglip-so400m-patch14-384", "hf-hub:timm/ViT-SO400M-14-SigLIP-384, "),
        ("timm/vit_base_patch32_clip_224.openai", "hf-hub:timm/vit_base_patch32_clip_224.openai, "),
        ("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", LAION),
        ("('ViT-B-32', 'laion2b_s34b_b79k')", "open_clip:ViT-B-32/laion2b_s34b_b79k, "),
        ("Open-CLIP:ViT-B-32/laion2b_s34b_b79k", LAION),
        ("open_clip:ViT-B/32", VIT),
        ("open_clip:ViT-B-32-256", "open_clip:ViT-B-32-256/datacomp_s34b_b86k, "),
        ("open_clip:ViT-B-32-256/openai", "open_clip:ViT-B-32-256/datacomp_s34b_b86k, "),
        ("open_clip:ViT-B-32/wrong", "open_clip:ViT-B-32/openai, open_clip:ViT-B-32/"),
        ("open_clip:", ""),
    ],
)
def test_a_name_that_nobody_knows_leads_to_the_nearest_of_all_families(offline, name, near):
    with pytest.raises(ValueError, match=r"^no model and no file is called") as raised:
        fetch(name)
    assert f"near it: {near}" in str(raised.value)
    assert "hf-hub:organisation/model, open_clip:architecture/weights" in str(raised.value)


def test_siglip_by_its_makers_name_leads_to_that_of_open_clip(offline):
    with pytest.raises(ValueError, match=r"near it:.*[, ]open_clip:ViT-B-16-SigLIP2/webli,"):
        fetch("google/siglip2-base-patch16-224")


def test_an_architecture_alone_leads_to_its_weights(offline):
    with pytest.raises(ValueError, match=r"near it: (open_clip:ViT-B-32/\w+, ){9}") as raised:
        fetch("open_clip:ViT-B-32")
    assert "open_clip:ViT-B-32/laion2b_s34b_b79k" in str(raised.value)


def test_every_name_that_is_proposed_is_one_that_would_be_fetched(offline):
    with pytest.raises(ValueError, match="near it") as raised:
        fetch("timm/siglip2-base")
    for name in re.findall(r"(?:hf-hub|open_clip):\S+/[^\s,]+(?=,|\. )", str(raised.value))[:10]:
        with pytest.raises(ConnectionError, match="it asked for"):
            fetch(name)


@pytest.mark.parametrize(
    "name",
    [
        "our/small",
        " our/small\n",
        "our/small/",
        "https://hub.test/our/small",
        "https://hub.test/our/small/",
        "hub.test/our/small",
        "https://hub.test/our/small/tree/main",
    ],
)
def test_a_model_of_the_hub_may_be_named_by_its_address(offline, name):
    with pytest.raises(ConnectionError, match=r"our/small could.*it asked for our/small"):
        fetch(f"hf-hub:{name}")


def test_blanks_behind_the_colon_do_not_count(offline, folders):
    assert opened(Path(f" {folders['causal, cropped']} ")).name == "model 0"
    with pytest.raises(ConnectionError, match="it asked for timm/ViT-B-16-SigLIP2/"):
        fetch("open_clip: ViT-B-16-SigLIP2/webli ")


def test_a_name_leads_to_its_model_even_where_a_file_is_called_so(offline, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("ViT-B", "timm", "timm/ViT-B-16-SigLIP2"):
        Path(name).mkdir()
    for name in ("ViT-B/32", "openai", "tiny"):
        Path(name).write_text("not a model")
    assert fetch("tiny").parent.name == "demo"
    with pytest.raises(RuntimeError, match="it asked for ViT-B/32"):
        fetch("ViT-B/32")
    with pytest.raises(ConnectionError, match="it asked for timm/vit_base_patch32_clip_224"):
        fetch("open_clip:ViT-B-32/openai")
    with pytest.raises(ValueError, match=r"near it: hf-hub:timm/ViT-B-16-SigLIP2, "):
        fetch("timm/ViT-B-16-SigLIP2")


def test_a_folder_without_a_description_is_refused():
    with pytest.raises(FileNotFoundError, match=r"no open_clip_config.json in /not/there"):
        ClipEncoder("local-dir:/not/there", device="cpu")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            b"version https://git-lfs\noid sha256:0\nsize 9\n",
            "pointer of Git LFS",
        ),
        (b"<!DOCTYPE html>", "is a text"),
        (b"", "is empty"),
        (b"PK\3\4" + bytes(99), "was cut off"),
    ],
)
@pytest.mark.parametrize("name", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
def test_a_file_that_holds_no_weights_says_what_it_is(folders, tmp_path, content, told, name):
    folder = folder_with(folders["causal, cropped"], tmp_path)
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name} .*{told}") as raised:
        opened(folder)
    assert "weights_only" not in "".join(traceback.format_exception(raised.value))


def test_code_in_a_file_is_never_run(folders, tmp_path, monkeypatch):
    """Not even where the environment says that torch shall."""

    class Code:
        def __reduce__(self):
            return Path.touch, (tmp_path / "trace",)

    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    folder = folder_with(folders["causal, cropped"], tmp_path)
    torch.save({"logit_scale": Code()}, folder / "open_clip_pytorch_model.bin")
    with pytest.raises(ValueError, match=r"holds more than weights, perhaps code") as raised:
        opened(folder)
    assert "weights_only" not in "".join(traceback.format_exception(raised.value))
    assert not (tmp_path / "trace").exists()


def test_a_checkpoint_of_training_is_opened_and_one_of_torchscript_says_what_it_is(
    folders, tmp_path
):
    folder = folder_with(folders["causal, cropped"], tmp_path)
    weights = load_file(folders["causal, cropped"] / "open_clip_model.safetensors")
    trained = {f"module.{name}": each for name, each in weights.items()}
    torch.save({"state_dict": trained, "epoch": 3}, folder / "open_clip_pytorch_model.bin")
    texts = opened(folders["causal, cropped"]).encode_texts(TEXTS)
    assert np.array_equal(opened(folder).encode_texts(TEXTS), texts)
    models.save_random_clip(folder / "open_clip_pytorch_model.bin", jit=True)
    with pytest.raises(ValueError, match="does not fit model: it has other names") as raised:
        opened(folder)
    assert "weights_only" not in "".join(traceback.format_exception(raised.value))
    assert len(str(raised.value)) < 500 + len(str(tmp_path))


def test_a_folder_without_weights_is_refused_not_filled_at_random(folders, tmp_path):
    folder = shutil.copytree(folders["causal, cropped"], tmp_path / "empty")
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"no weights in .*empty"):
        opened(folder)


def test_weights_of_another_architecture_are_refused(folders, tmp_path):
    folder = shutil.copytree(folders["causal, cropped"], tmp_path / "mixed")
    other = folders["not causal, squashed"] / "open_clip_model.safetensors"
    shutil.copy(other, folder / "open_clip_model.safetensors")
    with pytest.raises(ValueError, match=r"open_clip_model.safetensors does not fit mixed"):
        opened(folder)


def test_without_open_clip_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install .*open_clip_torch"):
        ClipEncoder("open_clip:ViT-B-32-256/datacomp_s34b_b86k")


@pytest.fixture
def hub(folders):
    """A server on this machine that answers as the hub does, for a model called our/small."""
    folder = folders["causal, cropped"]

    class Hub(http.server.SimpleHTTPRequestHandler):
        def translate_path(self, path):
            return str(folder / path.rsplit("/", 1)[-1])

        def end_headers(self):
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("ETag", f'"{Path(self.path).name}"')
            super().end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def from_hub(address: str, cache: Path) -> subprocess.CompletedProcess:
    """Open our/small in a process that takes this address for the hub's."""
    code = """
import torch
from helpers import ClipEncoder
encoder = ClipEncoder("hf-hub:our/small", device="cpu", precision="float32")
print(encoder.name, encoder.dim, encoder.digest)
"""
    environment = os.environ | {"HF_ENDPOINT": address, "HF_HOME": str(cache)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True
    )


def test_the_hubs_models_are_downloaded_and_then_need_no_network(hub, folders, tmp_path):
    encoder = opened(folders["causal, cropped"])
    for address in (hub, "http://127.0.0.1:9"):
        answer = from_hub(address, tmp_path)
        assert answer.stdout.split() == ["our/small", "512", encoder.digest], answer.stderr


def test_a_hub_that_does_not_answer_says_what_to_do(tmp_path):
    answer = from_hub("http://127.0.0.1:9", tmp_path)
    assert "ConnectionError: our/small could not be downloaded" in answer.stderr
    assert 'use model_name="local-dir:"' in answer.stderr


def test_the_notebooks_that_measure_and_search_run_with_such_a_model(folders, drawings, tmp_path):
    """What 01 and 02 show of a model is tested above; 03 fills the collection."""
    folder = folders["not causal, squashed"]
    own = {"model_name": f"local-dir:{folder}", "image_dir": drawings}
    own |= {"collection_name": "other", "milvus_uri": tmp_path / "milvus.db"}
    parameters = [word for name, value in own.items() for word in ("-p", name, value)]
    env = environment(tmp_path / "data", IMAGE_SEARCH_PROFILE="demo")
    command = ["-m", "helpers", "03_search", "06_evaluation", "07_no_match"]
    command += ["--output", tmp_path / "runs"]
    done = python(*command, *parameters, env=env)
    assert done.returncode == 0, done.stderr
    assert "a red star: 10 images in" in done.stdout
