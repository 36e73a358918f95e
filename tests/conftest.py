"""What the tests share: a small model of random weights, drawings, a real Milvus Lite."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import models
import pytest

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
    return ClipEncoder(checkpoint, device="cpu")


@pytest.fixture(scope="session")
def other_encoder(tmp_path_factory) -> ClipEncoder:
    """A model of the same dimension with other weights."""
    path = models.save_random_clip(tmp_path_factory.mktemp("models") / "other.pt", seed=1)
    return ClipEncoder(path, device="cpu")


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
