"""Where a CLIP checkpoint is, and what opens it: OpenAI's published weights, or any file.

Not about using the model: that is `encoder`.
"""

import contextlib
import hashlib
import os
import socket
import tempfile
import urllib.request
import warnings
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

from ..paths import resolve_path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # clip imports pkg_resources, which warns that it will go
    import clip
    from clip.clip import _MODELS, _download

__all__ = ["checkpoint_digest", "checkpoint_path", "is_known", "load_checkpoint"]

_CACHE = Path("~/.cache/clip")  # where clip itself keeps the weights
_TINY = Path(__file__).parent.parent / "demo" / "tiny-clip.pt"
_CONNECT_TIMEOUT, _STALL_TIMEOUT = 5, 30  # seconds


def is_known(model_name: str | os.PathLike) -> bool:
    """Say whether this is a model's name, and not the path of a checkpoint."""
    return model_name == "tiny" or model_name in clip.available_models()


def checkpoint_path(model_name: str | os.PathLike) -> Path:
    """Find a model's checkpoint file; download OpenAI's weights where they are not there yet.

    Raises
    ------
    ValueError
        If the model is unknown.
    FileNotFoundError
        If a path is given and there is no file.
    ConnectionError
        If the weights cannot be downloaded.
    """
    if model_name == "tiny":
        return _existing(_TINY)
    if model_name in _MODELS:
        return _fetch_weights(str(model_name))
    path = resolve_path(model_name)
    if not path.suffix and not path.is_file():
        known = ", ".join([*clip.available_models(), "tiny"])
        raise ValueError(
            f"unknown model {str(model_name)!r}; known: {known}, or a checkpoint's path"
        )
    return _existing(path)


def load_checkpoint(path: Path) -> tuple:
    """Open a checkpoint on the CPU: the torch module in float32, and CLIP's image transform.

    Raises
    ------
    ValueError
        If the file is no CLIP checkpoint, neither a state dict nor a TorchScript archive.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.jit.load warns that it will go
            return clip.load(str(path), device="cpu", jit=False)
    except Exception as error:  # torch raises several kinds on a file that is something else
        message = f"{path} is not a whole CLIP checkpoint in OpenAI's layout ({error})"
        raise ValueError(message) from error


def checkpoint_digest(model_name: str | os.PathLike, path: Path) -> str:
    """Give a checkpoint's SHA-256.

    Raises
    ------
    ValueError
        If it is the file of a published model and differs from what OpenAI published.
    """
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if model_name in _MODELS and digest != _MODELS[model_name].split("/")[-2]:
        raise ValueError(
            f"{path} is not the file that OpenAI published for {model_name} (SHA-256 differs): "
            "delete it, and it is downloaded again"
        )
    return digest


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    return path


def _fetch_weights(model_name: str) -> Path:
    """Let clip download and check its weights; add timeouts and an error that says what to do.

    They are downloaded beside their place and moved there whole.
    """
    url, folder = _MODELS[model_name], _CACHE.expanduser()
    path = folder / url.rsplit("/", 1)[-1]
    if path.is_file():
        return path
    try:
        request = urllib.request.Request(url, method="HEAD")
        urllib.request.urlopen(request, timeout=_CONNECT_TIMEOUT).close()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as draft, _default_timeout(_STALL_TIMEOUT):
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
    """Give sockets a timeout: clip's download has none of its own and would hang for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
