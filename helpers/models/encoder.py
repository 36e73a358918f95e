"""CLIP: images and texts to unit vectors in one space.

Not about storing or comparing them. `FAMILIES` lists the families of models; each is a module of
this folder, whose class opens a model and says what the encoder needs to know about it.
"""

import contextlib
import itertools
import os
import reprlib
import warnings
from collections.abc import Generator, Iterable, Sequence, Sized
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, Normalize, PILToTensor, Resize
from tqdm.auto import tqdm

from ..batches import batches, map_batches
from ..encoding import Encoded, Picture, unit_vectors
from ..images.pictures import read_image
from .acceleration import has_fast_bfloat16
from .open_clip import OpenClipModel
from .openai import ClipModel

_LONGEST = 20  # times the short side
_REMEMBERED = 1000  # texts
_NO_VECTOR = np.empty(0, np.float32)


ModelName = str | os.PathLike
FAMILIES: list[type[ClipModel]] = [OpenClipModel, ClipModel]
"""The first whose `prefixes` a name begins with opens it. Any name begins with OpenAI's."""


def fetch(model_name: ModelName) -> Path:
    """Return a model's file, downloaded if it is not there yet; its family lists the errors."""
    family, name = _found(model_name)
    return family.fetch(name)


class ClipEncoder:
    """A CLIP model that turns images and texts into unit vectors.

    Parameters
    ----------
    model_name : str or path
        A name from `clip.available_models()` (its weights are downloaded on first use), "tiny"
        (this project's own small model, for its drawings only), or the path of a checkpoint in
        OpenAI's layout, as a state dict, a TorchScript archive or safetensors. Or one of
        open_clip's:
        "open_clip:ViT-B-32-256/datacomp_s34b_b86k", "hf-hub:timm/ViT-B-16-SigLIP2" (or its
        address), or "local-dir:" and a folder; see `open_clip`. Blanks around it do not count.
    device : str
        "auto" (CUDA, else Apple's MPS, else the CPU), or a name that torch knows.
    precision : {"auto", "float32", "bfloat16", "float16"}
        "auto" is float16 on CUDA, as CLIP's authors ran it; bfloat16 on a CPU that multiplies it
        in hardware; float32 elsewhere. float16 needs CUDA.

    Attributes
    ----------
    name : str
        The model's name, or the checkpoint's file name.
    model_name : str
        Opens the same model again: its name, or the checkpoint's path.
    path : Path
        The checkpoint file.
    dim : int
        Length of the vectors: 512 for ViT-B/32.
    device : str
    precision : str
    content : str
        SHA-256 of the weights as float16, which tells models apart, whatever their names and files.
    digest : str
        SHA-256 of the checkpoint file; of one of OpenAI's models, of the file that OpenAI
        published, wherever the weights came from. This is what older collections remember.
    batch_size : int
        Images per forward pass by default: 64. On a CPU, 32 to 80 were equally fast.
    ahead : int
        Batches to prepare while the model works: 0 on the CPU, where both use the same cores and
        taking turns is faster; 2 elsewhere.
    model : torch module
        For inference; see `acceleration` for what was changed. `original` returns it unchanged.

    Raises
    ------
    ValueError
        If the model (the error has the nearest names), device or precision is unknown, or the file
        is not a CLIP checkpoint: the error says what it is. Nothing in a file is ever run.
    FileNotFoundError
        If there is no file at a path, or not what is needed in a folder.
    ConnectionError
        If weights cannot be downloaded.
    """

    def __init__(
        self, model_name: ModelName = "ViT-B/32", device: str = "auto", precision: str = "auto"
    ) -> None:
        self.device = _pick_device(device)
        self.precision = _pick_precision(precision, self.device)
        family, name = _found(model_name)
        self._model = family(name, self.device, self.precision)
        self.name, self.model_name = self._model.name, self._model.model_name
        self.path, self.content, self.dim = self._model.path, self._model.content, self._model.dim
        self.model = getattr(self._model, "module", None)  # tests bring models without one
        self.batch_size = 64
        self.ahead = 0 if self.device == "cpu" else 2
        *steps, _, normalize = self._model.preprocess.transforms
        self._steps = Compose([*_bounded(steps), PILToTensor()])
        self._normalize = Normalize(normalize.mean, normalize.std, inplace=True)
        self._texts: dict[str, np.ndarray] = {}

    @property
    def digest(self) -> str:
        """The checksum of the model's file; see above."""
        return self._model.digest

    def __repr__(self) -> str:
        return f"ClipEncoder({self.name!r}, {self.dim}-d, {self.precision} on {self.device})"

    def encode_images(
        self, images: Iterable[Picture], batch_size: int | None = None, progress: bool = False
    ) -> np.ndarray:
        """Return the vectors of images, encoded in batches.

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
        total = len(images) if isinstance(images, Sized) else None
        vectors = []
        with contextlib.closing(self.encode_stream(images, batch_size)) as stream:
            each = itertools.chain.from_iterable(stream)
            for encoded in tqdm(each, "encoding images", total, unit="image", disable=not progress):
                if encoded.error:
                    raise encoded.error
                vectors.append(encoded.vector)
        return np.array(vectors, np.float32).reshape(-1, self.dim)

    def encode_stream(
        self, images: Iterable[Picture], batch_size: int | None = None
    ) -> Generator[list[Encoded], None, None]:
        """Encode images batch by batch, in order; an item that cannot be read carries the error.

        Parameters
        ----------
        images : iterable of paths or PIL images
            Read as needed: they need not fit into memory together.
        batch_size : int, optional

        Yields
        ------
        list of Encoded
        """

        def read(image: Picture) -> tuple[Encoded, torch.Tensor | None]:
            try:
                opened, facts = read_image(image, self.edge)
                return Encoded(image, facts, _NO_VECTOR, None), self.prepare(opened)
            except OSError as error:
                return Encoded(image, {}, _NO_VECTOR, error), None

        size = self.batch_size if batch_size is None else batch_size
        with contextlib.closing(map_batches(read, images, size, self.ahead)) as prepared:
            for batch in prepared:
                pixels = [pixels for _, pixels in batch if pixels is not None]
                vectors = iter(self.encode_pixels(torch.stack(pixels)) if pixels else ())
                yield [e if e.error else e._replace(vector=next(vectors)) for e, _ in batch]

    def encode_texts(self, texts: Sequence[str], templates: Sequence[str] = ("{}",)) -> np.ndarray:
        """Encode texts, each alone or as the mean over several phrasings.

        Parameters
        ----------
        texts : sequence of str
            A text longer than the model reads, CLIP's 77 tokens, is cut; a warning names it.
        templates : sequence of str
            Phrasings with `{}` in place of the text, such as "a photo of a {}". If there are
            several, a text's vector is the normalised mean of its phrasings' unit vectors
            (Radford et al. 2021, section 3.1.4, https://arxiv.org/abs/2103.00020).

        Returns
        -------
        ndarray of float32, shape (n, dim), each row of unit length
        """
        _refuse_single(texts, str, "text")
        if not templates or isinstance(templates, str) or not all("{}" in t for t in templates):
            raise ValueError(f"templates need '{{}}' in place of the text, got {templates!r}")
        phrases = [template.replace("{}", text) for text in texts for template in templates]
        vectors = self._encode_phrases(phrases).reshape(len(texts), len(templates), self.dim)
        return vectors[:, 0] if len(templates) == 1 else unit_vectors(vectors.mean(axis=1))

    def prepare(self, image: Image.Image) -> torch.Tensor:
        """Scale and crop as the model's own transform does: uint8, (3, resolution, resolution).

        As bytes an image takes a quarter of the memory, which the threads that read, and the way
        to the device, do not have to carry.
        """
        return self._steps(image)

    def encode_pixels(self, pixels: torch.Tensor) -> np.ndarray:
        """Return the vectors of stacked images from `prepare`, in one forward pass.

        Returns
        -------
        ndarray of float32, shape (n, dim), each row of unit length

        Raises
        ------
        TypeError
            If the tensor is not uint8, so not from `prepare`.
        """
        if pixels.dtype != torch.uint8:
            raise TypeError(f"pixels have to come from `prepare` (uint8), not {pixels.dtype}")
        if self.device.startswith("cuda"):
            pixels = pixels.pin_memory()
        with torch.inference_mode():
            pixels = pixels.to(self.device, non_blocking=True)
            pixels = self._normalize(pixels.float().div_(255))
            return _as_vectors(self._model.encode_image(pixels.to(getattr(torch, self.precision))))

    def common_words(self) -> Sequence[str]:
        """Return words that people often use, from those that the model knows."""
        return self._model.common_words

    def original(self) -> tuple:
        """Return the model as its authors' own package opens it, with nothing of ours in it.

        Returns
        -------
        model : torch module
            On the CPU, in float32: what `clip.load` returns, or open_clip's counterpart.
        preprocess : callable
            From a PIL image to a tensor of shape (3, resolution, resolution).
        tokenize : callable
            From a list of texts to a tensor of shape (n, context length).
        """
        model, preprocess, tokenize = self._model.original()
        return model.requires_grad_(False), preprocess, tokenize

    @property
    def edge(self) -> int:
        """How many pixels a side of an image are enough: twice what the model sees."""
        return 2 * self._model.resolution

    def _encode_phrases(self, phrases: Sequence[str]) -> np.ndarray:
        """Return vectors; new phrases are encoded in batches of similar length and remembered."""
        known = dict(self._texts)
        for batch in batches(sorted(set(phrases) - set(known), key=len), 256):
            tokens = self._model.tokenize(batch)
            for text in batch:
                if self._model.length(text) > tokens.shape[1]:
                    cut = f"longer than the model's {tokens.shape[1]} tokens, the rest is cut"
                    warnings.warn(f"{cut}: {reprlib.repr(text)}", stacklevel=3)
            with torch.inference_mode():
                vectors = _as_vectors(self._model.encode_text(tokens.to(self.device)))
            known |= zip(batch, vectors, strict=True)
        self._texts = dict(list(known.items())[-_REMEMBERED:])
        return np.array([known[phrase] for phrase in phrases], np.float32).reshape(-1, self.dim)


def not_too_long(image: Image.Image) -> Image.Image:
    """Crop an image longer than 20:1 to 20:1 around its centre.

    A model that scales by the short side would make a very long image gigantic first.
    """
    short, long = sorted(image.size)
    if long <= _LONGEST * short:
        return image
    return CenterCrop([min(side, _LONGEST * short) for side in reversed(image.size)])(image)


def _bounded(steps: list) -> list:
    """Return a model's steps, with `not_too_long` before them unless they squash an image."""
    squashes = isinstance(steps[0], Resize) and not isinstance(steps[0].size, int)
    return steps if squashes else [not_too_long, *steps]


def _found(model_name: ModelName) -> tuple[type[ClipModel], ModelName]:
    """Return the family that opens a model, and its name without blanks around it."""
    if not isinstance(model_name, str | os.PathLike) or not str(model_name).strip():
        raise ValueError(f"a model is opened by its name or a path; {model_name!r} is neither")
    name = model_name.strip() if isinstance(model_name, str) else model_name
    return next(each for each in FAMILIES if str(name).startswith(each.prefixes)), name


def _as_vectors(features: torch.Tensor) -> np.ndarray:
    return unit_vectors(features.float().cpu().numpy())


def _pick_device(device: str) -> str:
    for each in ("cuda", "mps", "cpu") if device == "auto" else (device,):
        with contextlib.suppress(RuntimeError, AssertionError):
            torch.empty(0, device=each)
            return each
    raise ValueError(f"device {device!r} is not available here; try 'auto'")


def _pick_precision(precision: str, device: str) -> str:
    on_cuda = device.startswith("cuda")
    if precision == "auto":
        if on_cuda:
            return "float16"
        return "bfloat16" if device == "cpu" and has_fast_bfloat16() else "float32"
    known = ("auto", "float32", "bfloat16", "float16")
    if precision not in known:
        raise ValueError(f"unknown precision {precision!r}; known: {', '.join(known)}")
    if precision == "float16" and not on_cuda:
        raise ValueError(f"float16 needs CUDA, and the device is {device!r}; try 'auto'")
    return precision


def _refuse_single(values: object, kinds: type | tuple, what: str) -> None:
    if isinstance(values, kinds):
        raise TypeError(f"expected several {what}s, got one: put it into a list")
