"""CLIP: images and texts to unit vectors of one space.

Not about storing or comparing them. The model and its weights are OpenAI's package `clip`.
"""

import contextlib
import hashlib
import os
import socket
import tempfile
import urllib.request
import warnings
from collections.abc import Iterable, Iterator, Sequence
from http.client import HTTPException
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm.auto import tqdm

from .images import load_image
from .paths import project_root, resolve_path
from .vectors import unit_vectors

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # clip imports pkg_resources, which warns that it will go
    import clip
    from clip.clip import _MODELS, _download
    from clip.model import convert_weights

__all__ = ["ClipEncoder", "checkpoint_path"]

Picture = str | os.PathLike | Image.Image | torch.Tensor

_CACHE = Path("~/.cache/clip")  # where clip itself keeps the weights
_CONNECT_TIMEOUT, _STALL_TIMEOUT = 5, 30  # seconds
_BATCH_SIZE = 32
_LONGEST = 20  # times the short side


class ClipEncoder:
    """A CLIP model that turns images and texts into unit vectors.

    Parameters
    ----------
    model_name : str or path
        A name from `clip.available_models()` (its weights are downloaded on first use), "tiny"
        (this project's own small model, for its drawings only), or the path of a checkpoint in
        OpenAI's layout, as a state dict or a TorchScript archive.
    device : str
        "auto": CUDA, else Apple's MPS, else the CPU; or a name that torch knows.
    precision : {"auto", "float32", "float16"}
        "auto": float16 on CUDA, as CLIP's authors ran it, float32 elsewhere. float16 needs CUDA.

    Attributes
    ----------
    name : str
        The model's name, or the checkpoint's file name.
    dim : int
        Length of the vectors: 512 for ViT-B/32.
    device : str
    precision : str
    digest : str
        SHA-256 of the checkpoint file, which tells models apart whatever they are called.
    model, preprocess
        What `clip.load` returns: the torch module, and the transform from PIL image to tensor.

    Raises
    ------
    ValueError
        If the model, device or precision is unknown, or the file is no CLIP checkpoint.
    ConnectionError
        If weights cannot be downloaded.
    """

    def __init__(
        self,
        model_name: str | os.PathLike = "ViT-B/32",
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        path = checkpoint_path(model_name)
        known = model_name == "tiny" or model_name in clip.available_models()
        self.name = str(model_name) if known else path.name
        self.device = _pick_device(device)
        self.precision = _pick_precision(precision, self.device)
        self.digest = _digest(model_name, path)
        self.model, self.preprocess = _load(path)
        if self.precision == "float16":
            convert_weights(self.model)
        self.model.to(self.device)
        self.dim = self.model.text_projection.shape[1]

    def __repr__(self) -> str:
        return f"ClipEncoder({self.name!r}, {self.dim}-d, {self.precision} on {self.device})"

    def encode_images(
        self,
        images: Iterable[Picture],
        batch_size: int | None = None,
        progress: bool = False,
    ) -> np.ndarray:
        """Encode images in batches.

        Parameters
        ----------
        images : iterable of paths, PIL images, or tensors made by `prepare`
        batch_size : int, optional
            Images per forward pass; memory grows with it. Default 32.
        progress : bool
            Show a progress bar.

        Returns
        -------
        ndarray of float32, shape (n, dim), each row of unit length

        Raises
        ------
        OSError
            If a file cannot be read as an image; the message names it.
        """
        _refuse_single(images, (str, os.PathLike, Image.Image), "image")
        total = len(images) if hasattr(images, "__len__") else None
        bar = tqdm(total=total, unit="image", desc="encoding images", disable=not progress)
        vectors = []
        with bar:
            for batch in _batches(images, batch_size or _BATCH_SIZE):
                pixels = torch.stack([self._as_tensor(image) for image in batch])
                vectors.append(self._encode(self.model.encode_image, pixels))
                bar.update(len(batch))
        return self._join(vectors)

    def encode_texts(self, texts: Sequence[str], templates: Sequence[str] = ("{}",)) -> np.ndarray:
        """Encode texts, each alone or as the mean over several phrasings.

        Parameters
        ----------
        texts : sequence of str
            What is longer than CLIP's 77 tokens is cut there, with a warning that names it.
        templates : sequence of str
            Phrasings with `{}` in the text's place, such as "a photo of a {}". With several,
            a text's vector is the normalised mean of its phrasings' unit vectors (Radford et
            al. 2021, section 3.1.4, https://arxiv.org/abs/2103.00020).

        Returns
        -------
        ndarray of float32, shape (n, dim), each row of unit length
        """
        _refuse_single(texts, str, "text")
        if not templates or isinstance(templates, str) or not all("{}" in t for t in templates):
            raise ValueError(f"templates need '{{}}' in the text's place, got {templates!r}")
        phrases = [template.replace("{}", text) for text in texts for template in templates]
        tokens = (_tokenize(batch) for batch in _batches(phrases, 256))
        vectors = self._join([self._encode(self.model.encode_text, batch) for batch in tokens])
        if len(templates) == 1:
            return vectors
        return unit_vectors(vectors.reshape(len(texts), len(templates), self.dim).mean(axis=1))

    def prepare(self, image: Image.Image) -> torch.Tensor:
        """Apply CLIP's transform: shape (3, resolution, resolution), float32, on the CPU.

        It scales the short side first, which makes a giant of a very long image; one of more than
        20:1 is cut round its centre before.
        """
        short, long = sorted(image.size)
        if long > _LONGEST * short:
            width, height = (min(side, _LONGEST * short) for side in image.size)
            left, top = (image.width - width) // 2, (image.height - height) // 2
            image = image.crop((left, top, left + width, top + height))
        return self.preprocess(image)

    def _as_tensor(self, image: Picture) -> torch.Tensor:
        return image if isinstance(image, torch.Tensor) else self.prepare(load_image(image))

    def _encode(self, encode, inputs: torch.Tensor) -> np.ndarray:
        with torch.inference_mode():
            features = encode(inputs.to(self.device))
        return unit_vectors(features.float().cpu().numpy())

    def _join(self, vectors: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([np.empty((0, self.dim), np.float32), *vectors])


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
        return _existing(project_root() / "data" / "demo" / "tiny-clip.pt")
    if model_name in _MODELS:
        return _fetch_weights(str(model_name))
    path = resolve_path(model_name)
    if not path.suffix and not path.is_file():
        known = ", ".join([*clip.available_models(), "tiny"])
        raise ValueError(
            f"unknown model {str(model_name)!r}; known: {known}, or a checkpoint's path"
        )
    return _existing(path)


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


def _load(path: Path) -> tuple:
    """Open a checkpoint on the CPU, where clip makes it float32."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.jit.load warns that it will go
            return clip.load(str(path), device="cpu", jit=False)
    except Exception as error:  # torch raises several kinds on a file that is something else
        message = f"{path} is not a whole CLIP checkpoint in OpenAI's layout ({error})"
        raise ValueError(message) from error


def _digest(model_name: str | os.PathLike, path: Path) -> str:
    """Give a checkpoint's SHA-256; refuse a published model whose file is another."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if model_name in _MODELS and digest != _MODELS[model_name].split("/")[-2]:
        raise ValueError(
            f"{path} is not the file that OpenAI published for {model_name} (SHA-256 differs): "
            "delete it, and it is downloaded again"
        )
    return digest


def _pick_device(device: str) -> str:
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device!r} is not to be had here; try 'auto'") from error
    return device


def _pick_precision(precision: str, device: str) -> str:
    on_cuda = device.startswith("cuda")
    if precision == "auto":
        return "float16" if on_cuda else "float32"
    if precision not in ("float32", "float16"):
        raise ValueError(f"unknown precision {precision!r}; known: auto, float32, float16")
    if precision == "float16" and not on_cuda:
        raise ValueError(f"float16 needs CUDA, and the device is {device!r}; try 'auto'")
    return precision


def _tokenize(texts: Sequence[str]) -> torch.Tensor:
    try:
        return clip.tokenize(texts)
    except RuntimeError:
        for text in texts:
            _warn_if_long(text)
        return clip.tokenize(texts, truncate=True)


def _warn_if_long(text: str) -> None:
    try:
        clip.tokenize(text)
    except RuntimeError:
        warnings.warn(f"longer than CLIP's 77 tokens, the rest is cut: {text!r}", stacklevel=2)


def _refuse_single(values: object, kinds: type | tuple, what: str) -> None:
    if isinstance(values, kinds):
        raise TypeError(f"expected several {what}s, got one: put it into a list")


def _batches(items: Iterable, size: int) -> Iterator[list]:
    if size < 1:
        raise ValueError(f"batch_size must be at least 1, got {size}")
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
