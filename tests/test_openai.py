import hashlib
import io
import os
import pickle
import re
import subprocess
import sys
import threading
import traceback
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save, save_file

from helpers import ClipEncoder, ImageStore, list_images
from helpers.collection import columns
from helpers.models import openai as checkpoints
from helpers.models.encoder import fetch

from .support import models
from .support.addresses import addresses
from .support.processes import ROOT
from .support.tutorial import CAPTIONS, cosines_with_the_tutorial

NOWHERE = "http://127.0.0.1:9"
REPOSITORY = "timm/vit_base_patch32_clip_224.openai"


def in_the_hubs_layout(archive: Path) -> bytes:
    """Return an archive's weights as the hub has them: float32, in safetensors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit.load is deprecated
        weights = torch.jit.load(archive).state_dict().items()
    return save({name: each.float() for name, each in weights if each.is_floating_point()})


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    return models.save_random_clip(tmp_path_factory.mktemp("archive") / "ViT-B-32.pt", jit=True)


@pytest.fixture
def published(tmp_path, monkeypatch, request, archive):
    """Publish an archive where ViT-B/32 is looked for: at OpenAI's address and on the hub.

    `openai` and `hub` are the paths on the `site`, `archive` is the published file.
    """
    if sizes := getattr(request, "param", None):
        archive = models.save_random_clip(tmp_path / "ViT-B-32.pt", sizes, jit=True)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    openai = f"/clip/models/{digest}/ViT-B-32.pt"
    hub = f"/{REPOSITORY}/resolve/main/open_clip_model.safetensors"
    monkeypatch.setattr(checkpoints, "_CACHE", tmp_path / "cache")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with addresses() as site:
        site.files = {openai: archive.read_bytes(), hub: in_the_hubs_layout(archive)}
        monkeypatch.setitem(checkpoints._MODELS, "ViT-B/32", site.url + openai)
        use_hub_at(site.url, monkeypatch)
        yield SimpleNamespace(site=site, openai=openai, hub=hub, archive=archive, digest=digest)


def use_hub_at(address: str, monkeypatch) -> None:
    """Do in this process what HF_ENDPOINT does when the hub's library is imported."""
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def cut_the_network(published, monkeypatch) -> None:
    monkeypatch.setitem(checkpoints._MODELS, "ViT-B/32", NOWHERE + published.openai)
    use_hub_at(NOWHERE, monkeypatch)


def opened(precision: str = "float32") -> ClipEncoder:
    return ClipEncoder("ViT-B/32", device="cpu", precision=precision)


def kept() -> list[str]:
    """Return the names of the files in the cache, but for locks."""
    return sorted(p.name for p in checkpoints._CACHE.iterdir() if p.suffix != ".lock")


@pytest.mark.parametrize("published", [models.SHALLOW], ids=["full width"], indirect=True)
def test_published_weights_are_the_tutorials_and_those_of_the_hub_the_same(
    published, drawings, photos
):
    ours = opened("bfloat16")
    assert (ours.name, ours.dim, ours.digest) == ("ViT-B/32", 512, published.digest)
    assert kept() == ["ViT-B-32.pt"]
    images = [*list_images(drawings)[::10], *photos]
    assert cosines_with_the_tutorial(ours, published.archive, images).min() > 0.999

    ours.path.unlink()
    published.site.gone.add(published.openai)
    theirs = opened("bfloat16")
    assert kept() == ["ViT-B-32.safetensors"]
    assert (theirs.name, theirs.digest, theirs.content) == (ours.name, ours.digest, ours.content)
    assert np.array_equal(theirs.encode_images(images), ours.encode_images(images))
    assert np.array_equal(theirs.encode_texts(CAPTIONS), ours.encode_texts(CAPTIONS))


@pytest.mark.parametrize("fault", ["gone", "no network", "cut", "other content", "silent"])
def test_where_openais_address_fails_the_weights_come_from_the_hub(published, fault, monkeypatch):
    site, path = published.site, published.openai
    if fault == "gone":
        site.gone.add(path)
    if fault == "no network":
        monkeypatch.setitem(checkpoints._MODELS, "ViT-B/32", NOWHERE + path)
    if fault == "cut":
        site.cut[path] = 1000
    if fault == "other content":
        site.files[path] = b"<html>Please log in</html>"
    if fault == "silent":
        site.silent.add(path)
        monkeypatch.setattr(checkpoints, "_TIMEOUT", (5, 0.2))
    encoder = opened()
    expected = ClipEncoder(published.archive, device="cpu", precision="float32")
    assert encoder.path.name == "ViT-B-32.safetensors"
    assert (encoder.content, encoder.digest) == (expected.content, expected.digest)
    assert np.array_equal(encoder.encode_texts(CAPTIONS), expected.encode_texts(CAPTIONS))
    assert kept() == ["ViT-B-32.pt.part"] * (fault == "cut") + ["ViT-B-32.safetensors"]


@pytest.mark.parametrize("age", ["new", "older"])
@pytest.mark.parametrize("first", ["openai", "hub"])
def test_a_collection_accepts_its_model_from_either_address(published, tmp_path, first, age):
    published.site.gone.add(published.hub if first == "openai" else published.openai)
    one = opened()
    one.path.unlink()
    published.site.gone ^= {published.hub, published.openai}
    other = opened()
    assert one.path != other.path
    with ImageStore(tmp_path / "milvus.db") as store:
        if age == "new":
            store.open_for(one, tmp_path)
        else:
            known = {"model_name": "ViT-B/32", "model_dim": "64", "image_dir": str(tmp_path)}
            known |= {"model_digest": published.digest, "model": "ViT-B/32", "format": "1"}
            schema = columns.schema(64)
            store.client.create_collection(store.collection_name, schema=schema, properties=known)
        assert store.check_model(other)["model_digest"] == published.digest
        store.open_for(other, tmp_path)
        assert store.properties["model_content"] == one.content


def test_a_checkpoint_is_the_same_model_in_any_layout(archive, tmp_path):
    random = torch.load(models.save_random_clip(tmp_path / "float32.pt"))
    halved = {name: weights.half() for name, weights in random.items()}
    torch.save(halved, tmp_path / "float16.pt")
    save_file(random, tmp_path / "float32.safetensors")
    save_file(halved, tmp_path / "float16.safetensors")
    contents = {ClipEncoder(path, device="cpu").content for path in tmp_path.iterdir()}
    assert contents == {ClipEncoder(archive, device="cpu").content}  # of the same seed
    halved["visual.proj"][0, 0] += 1
    save_file(halved, tmp_path / "one number differs.safetensors")
    other = ClipEncoder(tmp_path / "one number differs.safetensors", device="cpu")
    assert other.content not in contents


def test_what_a_resnet_counted_in_training_is_no_part_of_its_content():
    norm = torch.nn.BatchNorm2d(3)
    content = checkpoints._content_digest(norm)
    norm.num_batches_tracked += 1
    assert checkpoints._content_digest(norm) == content
    norm.running_mean += 1
    assert checkpoints._content_digest(norm) != content


def test_weights_that_open_clip_takes_over_from_openai_keep_their_content(archive, tmp_path):
    open_clip = pytest.importorskip("open_clip")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit.load is deprecated
        theirs = open_clip.load_openai_model(str(archive), precision="fp32", device="cpu")
    save_file(theirs.state_dict(), tmp_path / "open_clip_model.safetensors")
    ours = ClipEncoder(tmp_path / "open_clip_model.safetensors", device="cpu")
    assert ours.content == ClipEncoder(archive, device="cpu").content


def test_every_published_model_is_on_the_hub_where_open_clip_looks_for_it():
    open_clip = pytest.importorskip("open_clip")
    for name in checkpoints._MODELS:
        architecture = name.replace("/", "-").replace("@336px", "-336")
        listed = open_clip.get_pretrained_cfg(f"{architecture}-quickgelu", "openai")
        assert listed["hf_hub"] == f"{checkpoints._on_hub(name)}/"
    assert open_clip.constants.HF_SAFE_WEIGHTS_NAME == checkpoints._HUB_FILE


@pytest.mark.parametrize("source", ["openai", "hub"])
def test_a_download_that_stopped_goes_on_where_it_stopped(published, source):
    site = published.site
    path = published.openai if source == "openai" else f"/cdn{published.hub}"
    site.gone.add(published.hub if source == "openai" else published.openai)
    half = site.cut[path] = len(site.files[path.removeprefix("/cdn")]) // 2
    with pytest.raises(ConnectionError):
        opened()
    [part] = kept()
    size = (checkpoints._CACHE / part).stat().st_size
    assert half - (1 << 16) < size <= half
    assert opened().content == ClipEncoder(published.archive, device="cpu").content
    assert site.ranges_of(path) == ["bytes=0-", f"bytes={size}-"]
    assert kept() == [part.removesuffix(".part")]


@pytest.mark.parametrize("ranges", [True, False], ids=["", "no ranges"])
@pytest.mark.parametrize("part", ["damaged", "too long", "whole", "the beginning"])
def test_what_lies_there_of_an_earlier_download_is_never_trusted(published, part, ranges):
    whole = published.archive.read_bytes()
    contents = {"damaged": b"x" * 1000, "too long": whole + b"x", "the beginning": whole[:1000]}
    checkpoints._CACHE.mkdir()
    (checkpoints._CACHE / "ViT-B-32.pt.part").write_bytes(contents.get(part, whole))
    published.site.ranges = ranges
    published.site.gone.add(published.hub)
    assert opened().path.read_bytes() == whole
    assert kept() == ["ViT-B-32.pt"]


def test_who_waits_for_another_process_takes_what_that_one_downloaded(published, monkeypatch):
    waits = threading.Event()

    class Lock(checkpoints.FileLock):
        def acquire(self, *args, **options):
            waits.set()
            return super().acquire(*args, **options)

    found: list[Path] = []
    fetch = checkpoints.ClipModel.fetch
    checkpoints._CACHE.mkdir()
    with checkpoints.FileLock(checkpoints._CACHE / "ViT-B-32.pt.part.lock"):
        monkeypatch.setattr(checkpoints, "FileLock", Lock)
        thread = threading.Thread(target=lambda: found.append(fetch("ViT-B/32")))
        thread.start()
        assert waits.wait(60)
        (checkpoints._CACHE / "ViT-B-32.pt").write_bytes(published.archive.read_bytes())
    thread.join()
    assert found == [checkpoints._CACHE / "ViT-B-32.pt"]
    assert published.site.asked == []


def test_another_file_in_the_place_of_published_weights_is_fetched_again(published, checkpoint):
    checkpoints._CACHE.mkdir()
    place = checkpoints._CACHE / "ViT-B-32.pt"
    place.write_bytes(checkpoint.read_bytes())
    with pytest.warns(UserWarning, match=r"ViT-B-32.pt is not the file that OpenAI published"):
        assert opened().path == place
    assert place.read_bytes() == published.archive.read_bytes()


def test_another_file_stays_there_as_long_as_the_right_one_cannot_be_fetched(
    published, checkpoint, monkeypatch
):
    checkpoints._CACHE.mkdir()
    place = checkpoints._CACHE / "ViT-B-32.pt"
    place.write_bytes(checkpoint.read_bytes())
    published.site.gone.add(published.openai)
    with pytest.warns(UserWarning, match=r"is not the file that OpenAI published"):
        assert opened().path.suffix == ".safetensors"
    assert place.read_bytes() == checkpoint.read_bytes()


@pytest.mark.parametrize("fault", ["no network", "gone", "broken"])
def test_weights_that_cannot_be_had_say_from_where_and_what_to_do(published, monkeypatch, fault):
    address = published.site.url
    if fault == "no network":
        cut_the_network(published, monkeypatch)
        address = NOWHERE
    if fault == "gone":
        published.site.gone |= {published.openai, published.hub}
    if fault == "broken":
        published.site.files[published.openai] = published.archive.read_bytes()[:-100]
        published.site.gone.add(published.hub)
    with pytest.raises(ConnectionError) as raised:
        opened()
    why = {"no network": "ConnectionError", "gone": "404 Not Found", "broken": "another SHA-256"}
    text = str(raised.value)
    assert f"from {address}{published.openai} (" in text
    assert f"nor from {address}{published.hub} (" in text
    assert why[fault] in text
    for name in ("ViT-B-32.pt", "ViT-B-32.safetensors"):
        assert str(checkpoints._CACHE / name) in text
    assert "demo" not in text  # whose model knows nothing of one's own photos
    assert "\n" not in text
    assert not checkpoints._CACHE.exists() or kept() == []


@pytest.mark.parametrize("name", ["ViT-B-32.pt", "ViT-B-32.safetensors"])
def test_weights_put_there_by_hand_need_no_network(published, monkeypatch, name):
    contents = {".pt": published.openai, ".safetensors": published.hub}
    place = checkpoints._CACHE / name
    place.parent.mkdir()
    place.write_bytes(published.site.files[contents[place.suffix]])
    cut_the_network(published, monkeypatch)
    encoder = opened()
    assert (encoder.path, encoder.dim, encoder.digest) == (place, 64, published.digest)


def test_weights_in_the_hubs_cache_need_no_network(published, monkeypatch, tmp_path):
    repository = tmp_path / "hub" / f"models--{REPOSITORY.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "open_clip_model.safetensors").write_bytes(published.site.files[published.hub])
    cut_the_network(published, monkeypatch)
    assert opened().path.parent == snapshot


def in_a_process(published, home: Path, **more: str) -> subprocess.CompletedProcess:
    """Open ViT-B/32 in a process that finds the hub by its environment."""
    code = f"""
from clip.clip import _MODELS
_MODELS["ViT-B/32"] = {published.site.url + published.openai!r}
from helpers import ClipEncoder
encoder = ClipEncoder("ViT-B/32", device="cpu", precision="float32")
print(encoder.content, encoder.path.name)
"""
    env = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    env |= {"HOME": str(home), "USERPROFILE": str(home), "HF_HOME": str(home / "hf")}
    env |= {"HF_ENDPOINT": published.site.url, **more}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)


def test_the_environment_says_where_the_hub_is_and_its_token_goes_no_further(published, tmp_path):
    published.site.gone.add(published.openai)
    done = in_a_process(published, tmp_path, HF_TOKEN="hf_geheim")
    content = ClipEncoder(published.archive, device="cpu").content
    assert done.stdout.split() == [content, "ViT-B-32.safetensors"], done.stderr
    tokens = published.site.tokens
    assert tokens[published.hub] == "Bearer hf_geheim"
    assert (tokens[published.openai], tokens[f"/cdn{published.hub}"]) == (None, None)


def test_a_hub_that_shall_not_be_asked_is_not_asked(published, tmp_path):
    published.site.gone.add(published.openai)
    done = in_a_process(published, tmp_path, HF_HUB_OFFLINE="1")
    assert "offline mode is enabled" in done.stderr
    assert {path for _, path, _ in published.site.asked} == {published.openai}


def test_a_path_is_a_path_even_where_a_model_is_called_so(checkpoint, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (Path("ViT-B")).mkdir()
    Path("ViT-B/32").write_bytes(checkpoint.read_bytes())
    own = ClipEncoder(Path("ViT-B/32"), device="cpu")
    assert (own.name, own.path) == ("32", Path("ViT-B/32").resolve())
    assert own.digest == hashlib.sha256(checkpoint.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", [" tiny", "tiny\n", "\ttiny "])
def test_blanks_around_a_name_do_not_count(name):
    encoder = ClipEncoder(name, device="cpu")
    assert (encoder.name, encoder.model_name) == ("tiny", "tiny")
    assert fetch(name) == encoder.path


def test_blanks_around_a_path_do_not_count_but_a_path_that_is_none_keeps_them(archive, tmp_path):
    assert fetch(f" {archive}\n") == archive
    odd = tmp_path / "odd "
    odd.write_bytes(b"")
    assert fetch(odd) == odd


def test_an_unknown_model_lists_the_nearest_where_only_openais_can_be(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ValueError, match=r"called 'ViT-B/33'; near it: ViT-B/32, ViT-B/16, .*tiny"):
        ClipEncoder("ViT-B/33")
    with pytest.raises(ValueError, match=r"near it: RN50, .* hf-hub:organisation/model"):
        ClipEncoder("RN5O")


@pytest.mark.parametrize("name", ["", "  ", None, 5, b"ViT-B/32", ["ViT-B/32"]])
def test_what_is_neither_name_nor_path_is_no_model(name):
    with pytest.raises(ValueError, match="opened by its name or a path"):
        ClipEncoder(name)
    with pytest.raises(ValueError, match="opened by its name or a path"):
        fetch(name)


@pytest.mark.parametrize("name", ["gone.pt", "/no/where/gone", "./gone", "~/gone", r"C:\gone", "/"])
def test_a_path_where_no_file_is_says_so_and_no_model_is_guessed(name):
    with pytest.raises(
        FileNotFoundError, match=r"no file is at /.*for a folder, write local-dir:/"
    ):
        ClipEncoder(name)


class Code:
    """What runs where a pickle is opened as pickles are."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize 9\n" % (b"a" * 64)
TEXTS = {
    "a page": b"<!DOCTYPE html>\n<title>403 Forbidden</title>",
    "JSON": b'{"error": "Access denied"}',
    "a few words": "Zugriff verweigert für alle".encode(),
    "UTF-16": "<html>Zugriff verweigert".encode("utf-16"),
    "an old pickle": pickle.dumps(Code(Path("trace")), 0),
}


def packed(names: list[str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return file.getvalue()


def saved(content: object, **options) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def refused(path: Path) -> str:
    """Return why a file is refused. Torch's advice is nowhere in what a notebook would show."""
    with pytest.raises(ValueError, match=re.escape(str(path))) as raised:
        ClipEncoder(path, device="cpu")
    assert "weights_only" not in "".join(traceback.format_exception(raised.value))
    return str(raised.value)


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors", "pytorch_model.bin", "model"])
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"], ids=["", "as Windows has it"])
def test_a_pointer_of_git_lfs_says_how_the_file_itself_is_fetched(tmp_path, name, ends):
    (tmp_path / name).write_bytes(POINTER.replace(b"\n", ends))
    assert "is a pointer of Git LFS: `git lfs pull`" in refused(tmp_path / name)


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_in_the_place_of_weights_is_shown_and_fetched_again(tmp_path, kind, name):
    (tmp_path / name).write_bytes(TEXTS[kind])
    told = refused(tmp_path / name)
    assert f"is a text, {TEXTS[kind][:30]!r}" in told
    assert "fetch it again" in told


HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(40)
ONNX = b"\x08\x07\x12\x07pytorch\x1a\x052.0.0"
NO_WEIGHTS = {
    "empty": (b"", "is empty: fetch it again"),
    "GGUF": (b"GGUF\x03" + bytes(40), "is GGUF, HDF5 (Keras) or ONNX, not for torch"),
    "HDF5": (HDF5, "is GGUF, HDF5 (Keras) or ONNX, not for torch"),
    "ONNX": (ONNX, "is GGUF, HDF5 (Keras) or ONNX, not for torch"),
    "a checkpoint in a zip": (packed(["ViT-B-32.pt"]), "take a state_dict, or unpack"),
    "NumPy's": (packed(["a.npy"]), "take a state_dict, or unpack"),
    "a whole module": (saved(torch.nn.Linear(1, 1)), "holds more than weights"),
    "a loss of NumPy": (saved({"loss": np.float64(1)}), "holds more than weights"),
    "zeros": (bytes(3000), "is damaged, or of a kind that torch does not read"),
    "a photo": (b"\xff\xd8\xff\xe0\0\x10JFIF", "is damaged, or of a kind that torch does not read"),
}


@pytest.mark.parametrize("kind", NO_WEIGHTS)
def test_a_file_that_holds_no_weights_says_what_it_is(tmp_path, kind):
    content, told = NO_WEIGHTS[kind]
    (tmp_path / "model.pt").write_bytes(content)
    assert told in refused(tmp_path / "model.pt")


@pytest.mark.parametrize("layout", ["archive", "state dict", "safetensors", "legacy"])
def test_weights_that_were_cut_off_say_so(archive, tmp_path, checkpoint, layout):
    weights = torch.load(checkpoint)
    contents = {
        "archive": archive.read_bytes(),
        "state dict": checkpoint.read_bytes(),
        "safetensors": save(weights),
        "legacy": saved(weights, _use_new_zipfile_serialization=False),
    }
    (tmp_path / "model").write_bytes(contents[layout][:-3000])
    assert re.search("cut off|is damaged.*: fetch it again", refused(tmp_path / "model"))


@pytest.mark.parametrize("layout", ["bare", "state dict", "legacy"])
def test_code_in_a_file_is_never_run(tmp_path, layout, monkeypatch):
    """Not even where the environment says that torch shall."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    content = {"visual.proj": torch.ones(1), "text_projection": Code(tmp_path / "trace")}
    legacy = saved(content, _use_new_zipfile_serialization=False)
    contents = {"bare": pickle.dumps(content), "state dict": saved(content), "legacy": legacy}
    (tmp_path / "model.pt").write_bytes(contents[layout])
    assert "holds more than weights, perhaps code (never run)" in refused(tmp_path / "model.pt")
    assert not (tmp_path / "trace").exists()


OTHERS = {
    "a ResNet": lambda weights: {"conv1.weight": torch.ones(1), "fc.bias": torch.ones(1)},
    "training": lambda weights: {"state_dict": weights, "epoch": 3},
    "training elsewhere": lambda weights: {"model_state_dict": weights, "loss": torch.ones(1)},
    "several GPUs": lambda weights: {f"module.{name}": weights[name] for name in weights},
    "transformers": lambda weights: {"vision_model.post_layernorm.bias": torch.ones(1)},
    "not all of it": lambda weights: {n: weights[n] for n in weights if ".ln_1." not in n},
    "one is missing": lambda weights: {n: weights[n] for n in weights if n != "text_projection"},
    "another size": lambda weights: weights | {"ln_final.bias": torch.ones(5)},
    "numbers as names": lambda weights: {1: torch.ones(1)},
    "nothing": lambda weights: {},
    "a list": lambda weights: [torch.ones(1)],
    "a number": lambda weights: torch.tensor(1),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_weights_of_something_else_show_their_names_and_what_opens_them(tmp_path, checkpoint, kind):
    content = OTHERS[kind](torch.load(checkpoint))
    torch.save(content, tmp_path / "model.pt")
    told = refused(tmp_path / "model.pt")
    held = list(content)[:3] if isinstance(content, dict) else type(content).__name__
    assert f"does not fit OpenAI's layout: it has other names or sizes, {held}. " in told
    assert "is opened as open_clip:architecture/path" in told
    assert len(told) < 500 + len(str(tmp_path))


def test_weights_are_read_by_what_they_are_not_by_how_their_file_is_called(checkpoint, tmp_path):
    save_file(torch.load(checkpoint), tmp_path / "model.bin")
    legacy = saved(torch.load(checkpoint), _use_new_zipfile_serialization=False)
    (tmp_path / "model").write_bytes(legacy)
    content = ClipEncoder(checkpoint, device="cpu").content
    for name in ("model.bin", "model"):
        assert ClipEncoder(tmp_path / name, device="cpu").content == content
