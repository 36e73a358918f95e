"""OpenAI's CLIP: find, fetch, check, open and run its checkpoints.

A family of models for `encoder.FAMILIES`; the architecture is in OpenAI's package `clip`. For all
families: what a name that leads nowhere may have meant, and what a file is that holds no weights.
"""

import contextlib
import difflib
import functools
import hashlib
import os
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import huggingface_hub
import requests
import torch
from filelock import FileLock
from safetensors.torch import load_file
from tqdm.auto import tqdm

from ..settings import resolve_path
from .acceleration import accelerate

with warnings.catch_warnings(action="ignore"):  # clip imports pkg_resources, which is deprecated
    import clip
    from clip.clip import _MODELS, _tokenizer, _transform
    from clip.model import build_model


_CACHE = Path("~/.cache/clip")  # where clip itself keeps the weights
_TINY = Path(__file__).parent.parent / "demo" / "tiny-clip.pt"
_TIMEOUT = (5, 30)  # seconds: to connect, and to wait for the next byte
_HUB_FILE = "open_clip_model.safetensors"
_COMMON = 10_000  # words
_A_PATH = r"^[/~.]|\\|\.(pth?|bin|ckpt|safetensors|onnx|gguf|h5|npz|zip|tar|gz)$"
_ALIKE = r"clip|openai|patch|px|(?<=\bb)ase|(?<=\bl)arge"  # some write it, some do not
_INSTEAD = {  # what a file is that cannot be read, and what to do, by its beginning
    rb"\Z": "is empty: fetch it again from where it came",
    rb".*\noid sha256:": "is a pointer of Git LFS: `git lfs pull` there fetches the file itself",
    rb"GGUF|\x89HDF|\x08": "is GGUF, HDF5 (Keras) or ONNX, not for torch: take .safetensors or .pt",
    rb"whole PK": "holds more than weights, perhaps code (never run): take a state_dict, or unpack",
    rb"\x80": "holds more than weights, perhaps code (never run), or is cut off: take a state_dict",
    rb"PK": "was cut off: fetch it again from where it came",
    rb"\xff\xfe|[^\0-\x08\x0e-\x1f]*\Z": "is a text, {!r}…, instead of the file: fetch it again",
    rb"": "is damaged, or of a kind that torch does not read: fetch it again from where it came",
}


class ClipModel:
    """An open CLIP, here of OpenAI's. Another family derives its own class from this one.

    Parameters
    ----------
    model_name : str or path
    device, precision : str
        Names that torch knows.

    Attributes
    ----------
    prefixes : tuple of str
        How the names of this family begin. Any name is one of OpenAI's: one neither published nor
        "tiny" counts as a path, which `fetch` checks.
    name, model_name, path, content, digest, dim
        As `encoder.ClipEncoder` has them.
    module : torch module
        As `load_checkpoint` opens it, changed by `accelerate`.
    preprocess : torchvision Compose
        The family's own: it scales and crops a picture, then makes a tensor of it, and then comes
        its `Normalize`.
    resolution : int
        How many pixels a side the model sees.
    """

    prefixes: tuple[str, ...] = ("",)

    def __init__(self, model_name: str | os.PathLike, device: str, precision: str) -> None:
        self.path = self.fetch(model_name)
        known = model_name in _MODELS or model_name == "tiny"  # a Path of the same name is not
        self.name = str(model_name) if known else self.path.name
        self.model_name = str(model_name if known else self.path)
        self.module, self.preprocess = load_checkpoint(self.path)
        self.content = _content_digest(self.module)
        accelerate(self.module, precision, device)
        self.module.to(device)
        self.dim: int = self.module.text_projection.shape[1]
        self.resolution: int = self.module.visual.input_resolution

    @staticmethod
    def fetch(model_name: str | os.PathLike) -> Path:
        """Return a model's checkpoint file; download OpenAI's weights if they are not there yet.

        They come from OpenAI's address, or else from the Hugging Face hub, as float32 in
        safetensors. A download that was stopped goes on where it stopped. `HF_ENDPOINT`,
        `HF_HUB_OFFLINE` and the hub's cache are respected.

        Raises
        ------
        ValueError
            If the model is unknown.
        FileNotFoundError
            If there is no file at a given path.
        ConnectionError
            If the weights cannot be downloaded.
        """
        if model_name in _MODELS:
            return _fetch_weights(str(model_name))
        path = _TINY if model_name == "tiny" else resolve_path(model_name)
        if path.is_file():
            return path
        if re.search(_A_PATH, str(model_name)):
            raise FileNotFoundError(f"no file is at {path}; for a folder, write local-dir:{path}")
        raise unknown_model(str(model_name))

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the file; of OpenAI's file for its models, wherever the weights came from."""
        return _published_digest(self.model_name) or _sha256(self.path)

    def encode_image(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return features, shape (n, dim), of any norm.

        The images are normalised, and on the device in its precision.
        """
        return self.module.encode_image(pixels)

    def length(self, text: str) -> int:
        """Return how many tokens a text needs, with its start and its end, however long it is."""
        return len(_tokenizer.encode(text)) + 2

    def tokenize(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the tokens of texts, shape (n, length), cut after the end of the longest.

        A text's vector is read at its end-of-text token, which has the highest number. The causal
        mask hides later tokens from it, so the padding that is cut changes nothing. Of a text that
        is too long the rest is cut.
        """
        tokens = clip.tokenize(texts, truncate=True)
        return tokens[:, : tokens.argmax(dim=1).max() + 1]

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return features of tokens on the device, shape (n, dim), of any norm."""
        return self.module.encode_text(tokens)

    def original(self) -> tuple:
        """Return module, transform and tokenizer as the family's own package opens them."""
        return *load_checkpoint(self.path), clip.tokenize

    @functools.cached_property
    def common_words(self) -> Sequence[str]:
        """At least a hundred words that people often use, the most frequent ones first.

        They are the whole words of CLIP's vocabulary, which is ordered by that.
        """
        words = re.findall("^([a-z]{4,})</w>$", "\n".join(_tokenizer.encoder), re.MULTILINE)
        return words[:_COMMON]


def load_checkpoint(path: Path) -> tuple:
    """Return an opened checkpoint on the CPU: torch module in float32, and image transform.

    Raises
    ------
    ValueError
        If the file is not a CLIP checkpoint: a state dict, a TorchScript archive or safetensors.
    """
    with weights_for(path, "OpenAI's layout") as weights:
        module = build_model(dict(weights)).float()
        return module, _transform(module.visual.input_resolution)


@contextlib.contextmanager
def weights_for(path: Path, name: str) -> Iterator[Mapping]:
    """Give a file's weights to whoever builds a model of them; say what they are if that fails."""
    weights = {} if path.suffix in (".npz", ".npy") else _read(path)  # NumPy's are safe
    try:
        yield weights
    except (ImportError, ConnectionError):
        raise
    except Exception:  # of many kinds, and torch may advise to open the file unsafely
        held = list(weights)[:3] if isinstance(weights, Mapping) else type(weights).__name__
        raise ValueError(
            f"{path} does not fit {name}: it has other names or sizes, {held}. What training saves "
            "(state_dict, module.), or open_clip, is opened as open_clip:architecture/path, or "
            "saved alone; for transformers' (vision_model.), take open_clip's of the same model"
        ) from None


def _read(path: Path) -> Mapping:
    """Return what is in a file of weights, by its names. Nothing in it is ever run."""
    readers = (
        load_file,
        lambda path: torch.jit.load(path, "cpu").state_dict(),
        lambda path: torch.load(path, "cpu", weights_only=True, mmap=zipfile.is_zipfile(path)),
    )
    for read in readers:
        with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"):
            return read(str(path))
    with open(path, "rb") as file:
        head = b"whole " * zipfile.is_zipfile(path) + file.read(1000)
    what = next(_INSTEAD[each] for each in _INSTEAD if re.match(each, head, re.DOTALL))
    raise ValueError(f"{path} {what.format(head[:30])}")


def unknown_model(model_name: str) -> ValueError:
    """Return the error for a name that leads nowhere, with the nearest names of all families.

    First come those of the same architecture, then those that share the longest words.
    """
    names = [*_MODELS, "tiny"]
    with contextlib.suppress(Exception):  # an extra, and it may not fit this torch
        import open_clip

        listed = open_clip.list_pretrained()
        on_hub = [open_clip.get_pretrained_cfg(*each).get("hf_hub", "") for each in listed]
        names += [f"open_clip:{architecture}/{tag}" for architecture, tag in listed]
        names += [f"hf-hub:{name[:-1]}" for name in on_hub if name.endswith("/")]
    near = sorted(dict.fromkeys(names), key=lambda n: _likeness(model_name, n), reverse=True)
    return ValueError(
        f"no model and no file is called {model_name!r}; near it: {', '.join(near[:10])}. "
        "Others: hf-hub:organisation/model, open_clip:architecture/weights, local-dir:folder"
    )


def _likeness(given: str, name: str) -> tuple[bool, int, float]:
    """Return whether they begin alike, how many letters they share in words, how alike they are."""
    one, other = _words(given), _words(name.rpartition(":")[2])
    shared = sum(map(len, set(one) & set(other)))
    begins = name.startswith(f"{given.partition('/')[0]}/")
    return begins, shared, difflib.SequenceMatcher(None, " ".join(one), " ".join(other)).ratio()


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+\d*|\d+", re.sub(_ALIKE, "", name.lower().replace("_", "-")))


def _content_digest(module: torch.nn.Module) -> str:
    """Return a SHA-256 of the weights as float16, in which OpenAI published them, by their names.

    It is the same for all files of the same weights. Counters are left out.
    """
    digest = hashlib.sha256()
    for name, weights in sorted(module.state_dict().items()):
        if weights.is_floating_point():
            digest.update(f"{name} {tuple(weights.shape)}\n".encode())
            digest.update(weights.half().numpy())
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    return _hashed(path, path.stat().st_size, path.stat().st_mtime_ns, path.stat().st_ctime_ns)


@functools.lru_cache(maxsize=16)
def _hashed(path: Path, *state: int) -> str:
    """Return a file's SHA-256, computed again if its size or time has changed."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _published_digest(model_name: str) -> str:
    """Return the SHA-256 that OpenAI's address of a model has in it; empty for other models."""
    return _MODELS[model_name].split("/")[-2] if model_name in _MODELS else ""


def _fetch_weights(model_name: str) -> Path:
    """Return the weights that are here already, from either source; else download them."""
    path = _CACHE.expanduser() / _MODELS[model_name].rsplit("/", 1)[-1]
    if path.is_file() and _sha256(path) == _published_digest(model_name):
        return path
    if (from_hub := path.with_suffix(".safetensors")).is_file():
        return from_hub
    cached = huggingface_hub.try_to_load_from_cache(_on_hub(model_name), _HUB_FILE)
    return Path(cached) if isinstance(cached, str) else _downloaded(model_name, path, from_hub)


def _on_hub(model_name: str) -> str:
    """Return where open_clip's makers put a model of OpenAI's on the Hugging Face hub.

    ViT-L/14@336px is timm/vit_large_patch14_clip_336.openai, and RN50 timm/resnet50_clip.openai.
    """
    if model_name.startswith("RN"):
        return f"timm/resnet{model_name[2:]}_clip.openai"
    [[size, patch, edge]] = re.findall(r"(\w)/(\d+)@?(\d*)", model_name)
    return f"timm/vit_{'base' if size == 'B' else 'large'}_patch{patch}_clip_{edge or 224}.openai"


def _downloaded(model_name: str, path: Path, from_hub: Path) -> Path:
    """Download OpenAI's file, or if that fails the hub's; an error says why both failed."""
    if path.is_file():
        wrong = f"{path} is not the file that OpenAI published for {model_name}"
        warnings.warn(f"{wrong} (SHA-256 differs): it is fetched again", stacklevel=2)
    on_hub = huggingface_hub.hf_hub_url(_on_hub(model_name), _HUB_FILE)
    failed = []
    for url, place in ((_MODELS[model_name], path), (on_hub, from_hub)):
        try:
            known = _told_by_hub(url) if url == on_hub else (_published_digest(model_name), {})
            return _download(url, place, *known)
        except Exception as error:  # of requests, httpx, the hub's library or the disk
            failed.append(f"{url} ({_brief(error)})")
    raise ConnectionError(
        f"the weights of {model_name} could not be downloaded from {' nor from '.join(failed)}. "
        f"Try again; or put the first file at {path} by hand, or the second at {from_hub}"
    )


def _told_by_hub(url: str) -> tuple[str, dict[str, str]]:
    """Return a file's SHA-256, empty if a mirror does not tell it, and with which headers to ask.

    `hf_hub_download` would go on trying for 24 seconds, and resumes no earlier download.
    """
    tag = huggingface_hub.get_hf_file_metadata(url).etag or ""
    return tag if len(tag) == 64 else "", huggingface_hub.utils.build_hf_headers()


def _download(url: str, path: Path, digest: str, headers: Mapping[str, str]) -> Path:
    """Download, going on where an earlier try stopped; `path` is there only when it is whole."""
    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{part}.lock"):  # or two processes would write into one file
        if path.is_file() and digest in ("", _sha256(path)):  # the other one was quicker
            return path
        for _ in range(1 + part.is_file()):  # what goes on from a damaged part is fetched again
            _append(url, part, headers)
            if digest in ("", _sha256(part)):
                return part.replace(path)
            part.unlink()
    raise OSError("what arrived has another SHA-256")


def _append(url: str, part: Path, headers: Mapping[str, str]) -> None:
    """Download what is missing of a file."""
    size = part.stat().st_size if part.is_file() else 0
    wanted = {**headers, "Range": f"bytes={size}-", "Accept-Encoding": "identity"}
    with requests.get(url, headers=wanted, stream=True, timeout=_TIMEOUT) as answer:
        if answer.status_code == 416:  # nothing is missing
            return
        if not answer.ok:
            raise OSError(f"{answer.status_code} {answer.reason}")
        size = size if answer.status_code == 206 else 0  # not every server sends a range
        total = size + int(answer.headers.get("Content-Length", 0)) or None
        bar = tqdm(desc=part.stem, total=total, initial=size, unit="B", unit_scale=True)
        with bar, open(part, "ab" if size else "wb") as file:
            for chunk in answer.iter_content(1 << 16):
                bar.update(file.write(chunk))


def _brief(error: Exception) -> str:
    """Return why a download failed: requests tells all of its request, the hub gives advice."""
    told = "" if isinstance(error, requests.RequestException) else str(error)
    return told.split("\n")[0] or type(error).__name__
