"""Make ready what the settings name: `prepare` images and weights, then `open_collection`."""

import contextlib
import html
import re

from IPython.display import HTML, display

from .collection.store import ImageStore
from .demo.drawings import draw_demo_images
from .images.tutorial import fetch_tutorial_images
from .ingestion import ingest
from .models.encoder import ClipEncoder, fetch
from .parameters import check_flags
from .settings import Settings, remember_profile, remembered_profile

__all__ = ["open_collection", "prepare"]


def prepare(settings: Settings, again: bool = False, images: bool | None = None) -> Settings:
    """Fetch or draw the images, and fetch the weights, if they are not there yet.

    An image folder given as a parameter is yours and is left as it is.

    Parameters
    ----------
    settings : Settings
    again : bool
        With the profile "auto", try the tutorial again, whatever was prepared before. `01_setup`
        does this.
    images : bool, optional
        Whether the images are needed as well as the model. By default only if `open_collection`
        might ingest them: a collection that is already filled can be searched without them.

    Returns
    -------
    Settings
        The settings to go on with. With the profile "auto" and no network they are the demo's,
        and a banner says so.

    Raises
    ------
    ConnectionError
        If something cannot be downloaded and the demo may not replace it: the profile is not
        "auto", or was prepared before, or the images are your own (the demo's model knows only
        its drawings).
    """
    check_flags(again=again)
    images = _may_fill(settings) if images is None else images
    own_images = settings.given("image_dir") and not settings.given("model_name")
    remembered = remembered_profile(settings.data_dir)
    undecided = settings.auto and (again or own_images or not remembered)
    if undecided:
        settings = settings.switch("tutorial")
    try:
        _fetch(settings, images)
    except ConnectionError as error:
        if not undecided or settings.given("image_dir"):
            raise
        settings = settings.switch("demo")
        _fetch(settings, images)
        _show_banner(
            "<b>This is the demo.</b> The tutorial's photos and OpenAI's CLIP could not be "
            "downloaded, so this run uses drawings made on this machine and a tiny CLIP trained "
            "on such drawings. Its answers are real, but it knows nothing else; run "
            "01_setup again with a network to get the tutorial."
            f"<br><small>{html.escape(str(error))}</small>"
        )
    if undecided or again:
        with contextlib.suppress(PermissionError):  # a prepared folder may be read-only
            remember_profile(settings)
    drawings = settings.profile == "demo" and not settings.given("image_dir")
    if settings.model_name == "tiny" and not drawings:
        _show_banner(
            "<b>These are not CLIP's answers.</b> The tiny model knows only this project's "
            "drawings; on other images it shows that everything runs, and nothing more."
        )
    return settings


def open_collection(settings: Settings) -> tuple[ClipEncoder, ImageStore]:
    """Open what `prepare` made ready; return the model, and the collection with its images.

    An empty collection is filled, as 02_ingestion does, unless it was given by name without an
    image folder: the name may be mistyped.

    Raises
    ------
    ValueError
        If the collection is empty and stays empty, or if another model filled it.
    OSError
        If the model, the images or the database cannot be opened.
    """
    encoder = ClipEncoder(settings.model_name)
    store = ImageStore(settings.milvus_uri, settings.collection_name)
    if not store.count() and _may_fill(settings):
        ingest(settings.image_dir, encoder, store)
    if not store.count():
        raise ValueError(f"{store} is empty: run 02_ingestion with these settings first")
    if settings.given("image_dir"):
        store.open_for(encoder, settings.image_dir)
        return encoder, store
    store.check_model(encoder)
    folder = store.image_dir
    if folder and not folder.is_dir():  # the data folder moved, perhaps with the whole project
        store.follow(settings.image_dir)
    return encoder, store


def _may_fill(settings: Settings) -> bool:
    return settings.given("image_dir") or not settings.given("collection_name")


def _fetch(settings: Settings, images: bool) -> None:
    folder = settings.data_dir / settings.profile
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise type(error)(
            error.errno,
            f"the data folder cannot be made ({error.strerror}): set the environment variable "
            "IMAGE_SEARCH_DATA_DIR to a folder that you may write",
            str(folder),
        ) from None
    fetch(settings.model_name)
    if settings.given("image_dir") or not images:
        return
    if settings.profile == "demo":
        draw_demo_images(settings.image_dir)
    else:
        fetch_tutorial_images(folder)


class _Banner(HTML):
    """A message in HTML that a terminal can show, too."""

    def __repr__(self) -> str:
        return html.unescape(re.sub("<[^>]*>", " ", self.data)).strip()


def _show_banner(message: str) -> None:
    style = "border-left:5px solid #e08a00;background:#e08a0022;padding:8px 12px"
    display(_Banner(f"<div style='{style}'>{message}</div>"))
