"""What the tests share: a small model of random weights, drawings, a real Milvus Lite."""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:  # then every core has a process already, and the threads
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of several would wait for each other

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from helpers import ClipEncoder, ImageStore, draw_demo_images, ingest
from helpers.images import gallery

from .support import models
from .support.commands import Clone
from .support.rows import MODEL, ODD_NAMES, row
from .support.server import Server

# `test_notebooks` waits for the run of the notebooks that `test_commands` begins with.
SLOW = ["test_app", "test_commands", "test_server", "test_store", "test_retrieval"]
SLOW += ["test_notebooks", "test_benchmark", "test_calibration", "test_browser", "test_openai"]
SLOW += ["test_notebooks_elsewhere", "test_ingestion", "test_replaced", "test_open_clip"]
SLOW += ["test_figures", "test_exiftool"]
SERVED = ("test_notebooks.py", "test_server.py", "test_store.py", "test_retrieval.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each process whole modules, and all that need a Milvus server to the same one."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            module = super()._split_scope(nodeid)
            return "server" if module.endswith(SERVED) else module

    return Scheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the work, as in `make test`, the slowest modules come first."""
    if hasattr(config, "workerinput"):
        order = {name: place for place, name in enumerate(SLOW)}
        items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("IMAGE_SEARCH_", "MILVUS_")):
            monkeypatch.delenv(name)
    # What widgets log goes to an application of Jupyter, if another test has started one; or
    # nowhere, if one has quieted all that has no level of its own.
    logging.getLogger("widgets").setLevel(logging.WARNING)
    monkeypatch.setattr("traitlets.log.get_logger", lambda: logging.getLogger("widgets"))
    # Nor do tests write thumbnails into the project's own data folder.
    monkeypatch.setattr(gallery, "data_folder", lambda: Path("no data folder"))


@pytest.fixture(scope="session")
def drawings(tmp_path_factory) -> Path:
    """A folder of 50 drawings in 5 classes."""
    folder = tmp_path_factory.mktemp("drawings") / "images"
    draw_demo_images(folder, n=50)
    return folder


@pytest.fixture
def folder(drawings, tmp_path) -> Path:
    """A copy of the drawings that a test may change."""
    return shutil.copytree(drawings, tmp_path / "images")


@pytest.fixture(scope="session")
def demo_images(tmp_path_factory) -> Path:
    """The demo's 1,000 drawings, drawn once a run; whoever changes them takes `demo_data`."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # that of all processes
    with FileLock(base / "demo.lock"):
        draw_demo_images(base / "demo" / "images")  # what is there already is kept
    return base / "demo" / "images"


@pytest.fixture(scope="session")
def demo_data(demo_images) -> Callable[[Path], Path]:
    """Return a function that makes a data folder in which the demo's drawings are there."""

    def make(data_dir: Path) -> Path:
        images = data_dir / "demo" / "images"
        try:
            shutil.copytree(demo_images, images, copy_function=os.link)
        except OSError:  # no links here
            shutil.copytree(demo_images, images, dirs_exist_ok=True)
        return data_dir

    return make


@pytest.fixture(scope="session")
def clone(demo_images, tmp_path_factory) -> Clone:
    """A clone of the project, in which `make run` was run, offline and with nothing chosen.

    One for all processes: only `test_commands` goes on in it; others look at `demo_run`.
    """
    base = demo_images.parent.parent
    made = Clone(base / "clone", base / "home")
    with FileLock(base / "clone.lock"):
        if not (base / "first run.txt").exists():
            made.make(demo_images)
            done = made.run("make run")
            for name in ("data", "runs"):
                shutil.copytree(made.folder / name, base / "first run" / name)
            (base / "first run.txt").write_text(done, encoding="utf-8")
    return made


@pytest.fixture(scope="session")
def demo_run(clone) -> SimpleNamespace:
    """All notebooks, run in order by `make run`, as they were then.

    `data` and `runs` are its folders, `printed` is what it printed.
    """
    folder = clone.folder.with_name("first run")
    printed = folder.with_suffix(".txt").read_text(encoding="utf-8")
    return SimpleNamespace(data=folder / "data", runs=folder / "runs", printed=printed)


@pytest.fixture(scope="module")
def chromium():
    """A browser for a module's pages; while it runs, no other test may use asyncio."""
    from .support import browser

    with browser.chromium() as started:
        yield started


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


@pytest.fixture(scope="session")
def ingested(tmp_path_factory, drawings, encoder) -> Iterator[ImageStore]:
    """A collection of the drawings, for those who only search it."""
    with ImageStore(tmp_path_factory.mktemp("ingested") / "milvus.db") as opened:
        ingest(drawings, encoder, opened, progress=False)
        yield opened


@pytest.fixture(scope="session")
def demo_store(demo_images, tmp_path_factory) -> Iterator[ImageStore]:
    """The demo's collection, filled once a run, for those who only search it.

    In this machine's precision, as anybody's.
    """
    base = demo_images.parent.parent
    with FileLock(base / "demo store.lock"):
        if not (base / "demo store").exists():
            (base / "filling").mkdir(exist_ok=True)
            with ImageStore(base / "filling" / "milvus.db", "demo_collection") as filling:
                ingest(demo_images, ClipEncoder("tiny"), filling, progress=False)
            (base / "filling").rename(base / "demo store")
    own = shutil.copytree(base / "demo store", tmp_path_factory.mktemp("demo store") / "data")
    with ImageStore(own / "milvus.db", "demo_collection") as opened:
        yield opened


@pytest.fixture
def store(tmp_path) -> Iterator[ImageStore]:
    with ImageStore(tmp_path / "milvus.db") as opened:
        yield opened


@pytest.fixture
def filled(store, tmp_path) -> ImageStore:
    """A store of five rows with odd names, each vector another axis."""
    store.open_for(MODEL, tmp_path)
    store.upsert([row(name, vector) for name, vector in zip(ODD_NAMES, np.eye(8), strict=False)])
    return store


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    """A real Milvus server, which wants `TOKEN`; none of its folder's name needs to be simple."""
    if not os.environ.get("REQUIRE_SERVER"):  # as in CI on Linux: then nothing is skipped
        pytest.importorskip("milvus", reason="PyPI has a Milvus server for Linux on x86-64 only")
    with Server(tmp_path_factory.mktemp("server") / "mit Ümlaut #1", authorization=True) as started:
        yield started
        started.process.kill()  # to end by itself takes it up to half a minute


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, which pytest's own folders are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


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
