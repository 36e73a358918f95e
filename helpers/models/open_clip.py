"""open_clip's models: SigLIP, DataComp's, LAION's and many more, by the names that it knows.

A family of models for `encoder.FAMILIES`. It needs the extra `models`.
"""

import contextlib
import hashlib
import importlib
import json
import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..settings import resolve_path
from .acceleration import accelerate
from .openai import ClipModel, unknown_model, weights_for

_LISTED, _HUB, _FOLDER = "open_clip:", "hf-hub:", "local-dir:"
_PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
_CONFIG = "open_clip_config.json"
_INSTALL = 'pip install "text-to-image-search[models]", or open_clip_torch and transformers'


class OpenClipModel(ClipModel):
    """An open model of open_clip; `module` is open_clip's, changed by `accelerate`."""

    prefixes = (_LISTED, _HUB, _FOLDER)

    def __init__(self, model_name: str | os.PathLike, device: str, precision: str) -> None:
        source = self._source = _locate(str(model_name))
        self.name, self.model_name, self.path = source.name, source.model_name, source.path
        self.module, self.preprocess, self.tokenizer = _opened(source, device, precision)
        accelerate(self.module, precision, device)
        self.digest = self.content = _digest(source, self.module)
        size = self.module.visual.image_size
        self.resolution: int = max(size) if isinstance(size, tuple) else size
        self._text = getattr(self.module, "text", self.module)
        self._causal = _reads_no_padding(self._text)
        self.dim: int = self.encode_text(self.tokenize(["a"]).to(device)).shape[1]

    @staticmethod
    def fetch(model_name: str | os.PathLike) -> Path:
        """Return the file of a model's weights; download it if it is not there yet.

        Raises
        ------
        ModuleNotFoundError
            If open_clip is not installed.
        ValueError
            If open_clip lists no such model, or not with this tag, or none can be called so.
        FileNotFoundError
            If there is no such file or folder, or nothing to open in it.
        ConnectionError
            If the weights cannot be downloaded.
        """
        return _locate(str(model_name)).path

    def length(self, text: str) -> int:
        """Return how many tokens a text needs; open_clip's tokenizers cut without a word."""
        inner = getattr(self.tokenizer, "tokenizer", None)
        if inner is None:  # open_clip's copy of OpenAI's
            return len(self.tokenizer.encode(text)) + 2
        return len(inner(self.tokenizer.clean_fn(text)).input_ids)

    def tokenize(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the tokens of texts, shape (n, length).

        Where the mask is causal, what stands behind the end of the longest text is cut: nothing
        reads it. SigLIP reads its vector at the end of the padding, so there all of it counts.
        """
        tokens = self.tokenizer(list(texts))
        return tokens[:, : tokens.argmax(dim=1).max() + 1] if self._causal else tokens

    @torch.inference_mode()
    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return features, from one forward pass."""
        if not self._causal:
            return self.module.encode_text(tokens)
        text, length = self._text, tokens.shape[1]
        positions, mask = text.positional_embedding, text.attn_mask
        try:  # open_clip adds all positions and the whole mask, to a shorter text as well
            text.positional_embedding = torch.nn.Parameter(positions[:length], requires_grad=False)
            text.attn_mask = mask[:length, :length]
            return self.module.encode_text(tokens)
        finally:
            text.positional_embedding, text.attn_mask = positions, mask

    def original(self) -> tuple:
        """Return what `open_clip.create_model_from_pretrained` does, and open_clip's tokenizer."""
        return _opened(self._source, "cpu", "float32")


class _Source(NamedTuple):
    """Where a model is. `architecture` and `pretrained` are what open_clip calls it."""

    name: str
    model_name: str
    architecture: str
    pretrained: str | None
    path: Path
    quick_gelu: bool = False


def _open_clip() -> Any:
    return importlib.import_module("open_clip")  # an extra


@contextlib.contextmanager
def _asked(name: str, *unreachable: type[Exception]) -> Iterator[None]:
    """Say what to do where a module is missing, or a download fails: one of these errors shows it.

    What open_clip tells the root logger is hidden: we raise it, or it does not concern a reader.
    """
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    except ImportError as error:
        raise ModuleNotFoundError(f"{name} needs more: {error}; {_INSTALL}") from error
    except unreachable as error:
        raise ConnectionError(
            f"{name} could not be downloaded ({error}). Try again; or, with its files from another "
            f'machine, use model_name="{_FOLDER}" and their folder, with {_CONFIG} and tokenizer'
        ) from error
    finally:
        logging.disable(before)


@_asked("open_clip")
def _locate(model_name: str) -> _Source:
    rest = model_name.partition(":")[2].strip()
    if model_name.startswith(_FOLDER):
        return _in_folder(resolve_path(rest))
    if model_name.startswith(_HUB):
        # of an address, its end
        name = "/".join(rest.partition("/tree/")[0].strip("/").split("/")[-2:])
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
            raise unknown_model(model_name)
        with _asked(name, OSError, RuntimeError):
            path = _open_clip().pretrained.download_pretrained_from_hf(name)
        return _Source(name, f"{_HUB}{name}", f"{_HUB}{name}", None, Path(path))
    architecture, _, tag = rest.partition("/")
    if not (listed := _open_clip().get_pretrained_cfg(architecture, tag)):
        return _own_file(architecture, tag)
    name, quick = f"{architecture}/{tag}", listed.get("quick_gelu", False)
    with _asked(name, OSError, RuntimeError):
        path = _open_clip().download_pretrained(listed)
    return _Source(name, model_name, architecture, tag, Path(path), quick)


def _in_folder(folder: Path) -> _Source:
    if not (folder / _CONFIG).is_file():
        raise FileNotFoundError(f"there is no {_CONFIG} in {folder}: check the path")
    if (path := _open_clip().factory._find_checkpoint_in_dir(folder)) is None:
        raise FileNotFoundError(f"there are no weights in {folder} (.safetensors, .bin, .pth)")
    return _Source(folder.name, f"{_FOLDER}{folder}", f"{_FOLDER}{folder}", None, Path(path))


def _own_file(architecture: str, file: str) -> _Source:
    path = resolve_path(file)
    if architecture not in _open_clip().list_models() or not path.is_file():
        raise unknown_model(f"{_LISTED}{architecture}/{file}")
    name = f"{architecture}/{path.name}"
    return _Source(name, f"{_LISTED}{architecture}/{path}", architecture, str(path), path)


def _opened(source: _Source, device: str, precision: str) -> tuple:
    """Return the module on its device, its transform from picture to tensor, and the tokenizer."""
    options = {"precision": _PRECISIONS[precision], "device": device, "pretrained_text": False}
    options |= {"force_quick_gelu": source.quick_gelu, "require_pretrained": True}  # not random
    with weights_for(source.path, source.name), _asked(source.name, OSError):
        module = _open_clip().create_model(source.architecture, source.pretrained, **options)
        tokenizer = _open_clip().get_tokenizer(source.architecture)  # from the hub, too
    own = _open_clip().transform
    wanted = own.PreprocessCfg(**module.visual.preprocess_cfg)
    return module.eval(), own.image_transform_v2(wanted, False), tokenizer


def _digest(source: _Source, module: Any) -> str:
    """Return a SHA-256 of the weights and of what else changes the vectors."""
    with open(source.path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    with _asked(source.name):
        config = _open_clip().get_model_config(source.architecture)
    rest = [config, source.quick_gelu, module.visual.preprocess_cfg]
    digest.update(json.dumps(rest, sort_keys=True).encode())
    return digest.hexdigest()


def _reads_no_padding(text: Any) -> bool:
    """Return whether a text's vector depends on nothing behind its end-of-text token."""
    pool = getattr(text, "text_pool_type", getattr(text, "pool_type", ""))
    masked = getattr(text, "attn_mask", None) is not None
    return pool == "argmax" and masked and getattr(text, "cls_emb", None) is None
