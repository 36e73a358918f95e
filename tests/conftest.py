"""What the tests share: a small model of random weights, drawings, a real Milvus Lite."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import models
import numpy as np
import pytest
from PIL import Image

from helpers import ClipEncoder, ImageStore, draw_demo_images


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("IMAGE_SEARCH_", "MILVUS_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def drawings(tmp_path_factory) -> Path:
    """A folder of 50 drawings in 5 classes."""
    folder = tmp_path_factory.mktemp("drawings") / "images"
    draw_demo_images(folder, n=50)
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    return models.save_random_clip(tmp_path_factory.mktemp("models") / "random.pt")


@pytest.fixture(scope="session")
def encoder(checkpoint) -> ClipEncoder:
    """The model in float32, so that tests can be exact on any processor."""
    return ClipEncoder(checkpoint, device="cpu", precision="float32")


@pytest.fixture(scope="session")
def tiny() -> ClipEncoder:
    """The demo's model, which knows what drawings show; in float32 as well."""
    return ClipEncoder("tiny", device="cpu", precision="float32")


@pytest.fixture(scope="session")
def other_encoder(tmp_path_factory) -> ClipEncoder:
    """A model of the same dimension with other weights."""
    path = models.save_random_clip(tmp_path_factory.mktemp("models") / "other.pt", seed=1)
    return ClipEncoder(path, device="cpu", precision="float32")


@pytest.fixture
def store(tmp_path) -> Iterator[ImageStore]:
    with ImageStore(tmp_path / "milvus.db") as opened:
        yield opened


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, which pytest's own folders are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Act as an ordinary user: root is never refused anything."""
    if not hasattr(os, "geteuid"):
        pytest.skip("this system has no users to change to")
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def photos(tmp_path) -> list:
    """Images of photo-like noise, colours and sizes: landscape, portrait, grey, PNG."""
    rng = np.random.default_rng(0)
    paths = []
    for index, size in enumerate([(500, 375), (375, 500), (64, 48), (900, 300)]):
        coarse = Image.fromarray(rng.integers(0, 255, (9, 12, 3), dtype=np.uint8))
        path = tmp_path / f"{index}.{'png' if index == 2 else 'jpg'}"
        image = coarse.resize(size, Image.Resampling.BICUBIC)
        (image.convert("L") if index == 3 else image).save(path, quality=90)
        paths.append(path)
    return paths
