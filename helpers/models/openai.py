"""OpenAI's CLIP: find, fetch, check, open and run its checkpoints.

A family of models for `encoder.FAMILIES`; the models themselves are in OpenAI's package `clip`.
"""

import contextlib
import functools
import hashlib
import os
import re
import reprlib
import socket
import tempfile
import urllib.request
import warnings
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from pathlib import Path

import torch

from ..paths import resolve_path
from .acceleration import accelerate
from .transforms import Transform, not_too_long

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # clip imports pkg_resources, which is deprecated
    import clip
    from clip.clip import _MODELS, _download

__all__ = ["Model", "common_words", "fetch", "knows", "load_checkpoint"]

_CACHE = Path("~/.cache/clip")  # where clip itself keeps the weights
_TINY = Path(__file__).parent.parent / "demo" / "tiny-clip.pt"
_CONNECT_TIMEOUT, _STALL_TIMEOUT = 5, 30  # seconds
_COMMON = 10_000  # words


class Model:
    """An open CLIP; see `encoder.Model` for its methods, `load_checkpoint` for its `module`."""

    def __init__(self, model_name: str | os.PathLike, device: str, precision: str) -> None:
        self.path = fetch(model_name)
        known = _is_published(model_name) or model_name == "tiny"
        self.name = str(model_name) if known else self.path.name
        self.model_name = str(model_name if known else self.path)
        self._checked = _checked_digest(model_name, self.path) if _is_published(model_name) else ""
        self.module, preprocess = load_checkpoint(self.path)
        self.content = _content_digest(self.module)
        accelerate(self.module, precision, device)
        self.module.to(device)
        self.dim: int = self.module.text_projection.shape[1]
        self.resolution: int = self.module.visual.input_resolution
        resize, crop, _, _, normalize = preprocess.transforms
        self.transform = Transform([not_too_long, resize, crop], normalize)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return self._checked or _checked_digest(self.model_name, self.path)

    def encode_image(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return features, from one forward pass; TypeError if pixels are not from `transform`."""
        return self.module.encode_image(self.transform.normalized(pixels))

    def tokenize(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the tokens of texts, shape (n, length), cut after the end of the longest.

        A text's vector is read at its end-of-text token, which has the highest number. The causal
        mask hides later tokens from it, so the padding that is cut changes nothing.
        """
        try:
            tokens = clip.tokenize(texts)
        except RuntimeError:
            for text in texts:
                _warn_if_long(text)
            tokens = clip.tokenize(texts, truncate=True)
        return tokens[:, : tokens.argmax(dim=1).max() + 1]

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return features, from one forward pass."""
        return self.module.encode_text(tokens)

    def original(self) -> tuple:
        """Return what `clip.load` returns, and `clip.tokenize`."""
        return *load_checkpoint(self.path), clip.tokenize

    def common_words(self) -> Sequence[str]:
        """Return the most frequent whole words of CLIP's vocabulary, which is ordered by that."""
        return common_words()


def knows(model_name: str | os.PathLike) -> bool:
    """Return True: a name neither published nor "tiny" counts as a path, which `fetch` checks."""
    return True


def fetch(model_name: str | os.PathLike) -> Path:
    """Return a model's checkpoint file; download OpenAI's weights if they are not there yet.

    Raises
    ------
    ValueError
        If the model is unknown.
    FileNotFoundError
        If there is no file at a given path.
    ConnectionError
        If the weights cannot be downloaded.
    """
    if model_name == "tiny":
        return _existing(_TINY)
    if _is_published(model_name):
        return _fetch_weights(str(model_name))
    path = resolve_path(model_name)
    if not path.suffix and not path.is_file():
        known = ", ".join([*clip.available_models(), "tiny"])
        raise ValueError(
            f"unknown model {str(model_name)!r}; known: {known}, or a checkpoint's path"
        )
    return _existing(path)


def load_checkpoint(path: Path) -> tuple:
    """Return an opened checkpoint on the CPU: torch module in float32, and image transform.

    Raises
    ------
    ValueError
        If the file is not a CLIP checkpoint: neither a state dict nor a TorchScript archive.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.jit.load is deprecated
            return clip.load(str(path), device="cpu", jit=False)
    except Exception as error:  # torch raises several kinds on a file that is something else
        message = f"{path} is not a whole CLIP checkpoint in OpenAI's layout ({error})"
        raise ValueError(message) from error


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


def _checked_digest(model_name: str | os.PathLike, path: Path) -> str:
    """Return a checkpoint's SHA-256; ValueError if it is not the one that OpenAI published."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if _is_published(model_name) and digest != _MODELS[str(model_name)].split("/")[-2]:
        raise ValueError(
            f"{path} is not the file that OpenAI published for {model_name} (SHA-256 differs): "
            "delete it, and it will be downloaded again"
        )
    return digest


def _is_published(model_name: str | os.PathLike) -> bool:
    return model_name in _MODELS  # a Path of the same name is not


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint at {path}: check the path")
    return path


def _fetch_weights(model_name: str) -> Path:
    """Let clip download and check its weights; add timeouts and an error that says what to do."""
    url, folder = _MODELS[model_name], _CACHE.expanduser()
    path = folder / url.rsplit("/", 1)[-1]
    if path.is_file():
        return path
    try:
        request = urllib.request.Request(url, method="HEAD")
        urllib.request.urlopen(request, timeout=_CONNECT_TIMEOUT).close()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as draft, _default_timeout(_STALL_TIMEOUT):
            # Moved into place only when it is whole.
            Path(_download(url, draft)).replace(path)
    except (OSError, HTTPException, RuntimeError, TypeError) as error:  # TypeError: no length sent
        raise ConnectionError(
            f"the weights of {model_name} could not be downloaded from {url} ({error}). "
            f"Try again; or put that file at {path} by hand; "
            'or use profile="demo", whose model needs no network'
        ) from error
    return path


@contextlib.contextmanager
def _default_timeout(seconds: float) -> Iterator[None]:
    """Set a timeout for sockets: clip's download has none of its own and could hang forever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _warn_if_long(text: str) -> None:
    try:
        clip.tokenize(text)
    except RuntimeError:
        warnings.warn(
            f"longer than CLIP's 77 tokens, the rest is cut: {reprlib.repr(text)}", stacklevel=2
        )


@functools.cache
def common_words() -> list[str]:
    """Return the most frequent whole words of CLIP's vocabulary, most frequent first."""
    vocabulary = clip.simple_tokenizer.SimpleTokenizer().encoder
    words = (token.removesuffix("</w>") for token in vocabulary if token.endswith("</w>"))
    return [word for word in words if re.fullmatch("[a-z]{4,}", word)][:_COMMON]
