"""CLIP: images and texts to unit vectors of one space.

Not about storing or comparing them. The model and its weights are OpenAI's package `clip`.
"""

import contextlib
import os
import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import Compose, Normalize, PILToTensor
from tqdm.auto import tqdm

from ..batches import batches, map_batches
from ..images.files import load_image
from ..vectors import unit_vectors
from .acceleration import accelerate, has_fast_bfloat16
from .openai import (
    checkpoint_digest,
    checkpoint_path,
    clip,
    is_known,
    load_checkpoint,
)

__all__ = ["ClipEncoder"]

Picture = str | os.PathLike | Image.Image

_BATCH_SIZE = 64
_LONGEST = 20  # times the short side
_REMEMBERED = 1000  # texts


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
    precision : {"auto", "float32", "bfloat16", "float16"}
        "auto": float16 on CUDA, as CLIP's authors ran it; bfloat16 on a CPU that multiplies it
        in hardware; float32 elsewhere. float16 needs CUDA.

    Attributes
    ----------
    name : str
        The model's name, or the checkpoint's file name.
    model_name : str
        What makes the same encoder again: the model's name, or the checkpoint's path.
    path : Path
        The checkpoint file.
    dim : int
        Length of the vectors: 512 for ViT-B/32.
    device : str
    precision : str
    digest : str
        SHA-256 of the checkpoint file, which tells models apart whatever they are called.
    batch_size : int
        Images per forward pass where none is given: 64. On a CPU, 32 to 80 were as fast.
    ahead : int
        Batches to prepare while the model works: 0 on the CPU, where both use the same cores and
        taking turns is faster; 2 elsewhere.
    model, preprocess
        What `clip.load` returns: the torch module, for inference (see `acceleration` for what
        was changed), and the transform from PIL image to tensor.

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
        self.path = checkpoint_path(model_name)
        self.model_name = str(model_name if is_known(model_name) else self.path)
        self.name = str(model_name) if is_known(model_name) else self.path.name
        self.device = _pick_device(device)
        self.precision = _pick_precision(precision, self.device)
        self.digest = checkpoint_digest(model_name, self.path)
        self.model, self.preprocess = load_checkpoint(self.path)
        accelerate(self.model, self.precision, self.device)
        self.model.to(self.device)
        self.dim = self.model.text_projection.shape[1]
        self.batch_size = _BATCH_SIZE
        self.ahead = 0 if self.device == "cpu" else 2
        resize, crop, _, _, normalize = self.preprocess.transforms
        self._to_square = Compose([resize, crop, PILToTensor()])
        self._normalize = Normalize(normalize.mean, normalize.std, inplace=True)
        self._texts: dict[str, np.ndarray] = {}

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
        images : iterable of paths or PIL images
        batch_size : int, optional
            Images per forward pass; memory grows with it.
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
        size = self.batch_size if batch_size is None else batch_size
        prepared = map_batches(self._read, images, size, self.ahead)
        vectors = []
        with bar, contextlib.closing(prepared):
            for batch in prepared:
                vectors.append(self.encode_pixels(torch.stack(batch)))
                bar.update(len(batch))
        return np.concatenate([np.empty((0, self.dim), np.float32), *vectors])

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
        vectors = self._encode_phrases(phrases)
        if len(templates) == 1:
            return vectors
        return unit_vectors(vectors.reshape(len(texts), len(templates), self.dim).mean(axis=1))

    def prepare(self, image: Image.Image) -> torch.Tensor:
        """Scale and crop as CLIP does: shape (3, resolution, resolution), uint8, on the CPU.

        The rest of CLIP's transform, to floats and normalised, is done batch by batch on the
        device. The short side is scaled first, which makes a giant of a very long image; one of
        more than 20:1 is cut round its centre before.
        """
        short, long = sorted(image.size)
        if long > _LONGEST * short:
            width, height = (min(side, _LONGEST * short) for side in image.size)
            left, top = (image.width - width) // 2, (image.height - height) // 2
            image = image.crop((left, top, left + width, top + height))
        return self._to_square(image)

    @property
    def edge(self) -> int:
        """How many pixels a side are enough of an image: twice what the model sees."""
        return 2 * self.model.visual.input_resolution

    def encode_pixels(self, pixels: torch.Tensor) -> np.ndarray:
        """Encode images that `prepare` made, in one forward pass.

        Parameters
        ----------
        pixels : tensor of uint8, shape (n, 3, resolution, resolution)

        Returns
        -------
        ndarray of float32, shape (n, dim), each row of unit length

        Raises
        ------
        TypeError
            If the tensor is not of uint8, and so not what `prepare` gives.
        """
        if pixels.dtype != torch.uint8:
            raise TypeError(f"pixels have to come from `prepare` (uint8), not {pixels.dtype}")
        if self.device.startswith("cuda"):
            pixels = pixels.pin_memory()
        with torch.inference_mode():
            pixels = pixels.to(self.device, non_blocking=True)
            return _as_vectors(self.model.encode_image(self._normalize(pixels.float().div_(255))))

    def _read(self, image: Picture) -> torch.Tensor:
        return self.prepare(load_image(image, self.edge))

    def _encode_phrases(self, phrases: Sequence[str]) -> np.ndarray:
        """Encode what is not remembered, phrases of like length together."""
        known = {phrase: self._texts[phrase] for phrase in phrases if phrase in self._texts}
        for batch in batches(sorted(set(phrases) - set(known), key=len), 256):
            known |= zip(batch, self._encode_tokens(_tokenize(batch)), strict=True)
        self._texts |= known
        for phrase in list(self._texts)[:-_REMEMBERED]:
            del self._texts[phrase]
        vectors = [known[phrase] for phrase in phrases]
        return np.array(vectors, np.float32).reshape(-1, self.dim)

    def _encode_tokens(self, tokens: torch.Tensor) -> np.ndarray:
        """Encode tokens, shape (n, 77), cut behind the last text's end.

        A text's vector is read at its end-of-text token, the highest one, and the causal mask
        lets no token see a later one: the padding that is cut changes nothing.
        """
        tokens = tokens[:, : tokens.argmax(dim=1).max() + 1]
        with torch.inference_mode():
            return _as_vectors(self.model.encode_text(tokens.to(self.device)))


def _as_vectors(features: torch.Tensor) -> np.ndarray:
    return unit_vectors(features.float().cpu().numpy())


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
        if on_cuda:
            return "float16"
        return "bfloat16" if device == "cpu" and has_fast_bfloat16() else "float32"
    if precision not in ("float32", "bfloat16", "float16"):
        raise ValueError(
            f"unknown precision {precision!r}; known: auto, float32, bfloat16, float16"
        )
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
