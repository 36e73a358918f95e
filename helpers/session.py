"""Make ready what the settings name: `prepare` images and weights, then `open_collection`."""

import contextlib
import html
import re
from pathlib import Path

from IPython.display import HTML, display

from .collection.store import ImageStore
from .demo.drawings import draw_demo_images
from .images.tutorial import fetch_tutorial_images
from .ingestion import ingest
from .models.encoder import ClipEncoder, fetch
from .settings import PROFILES, Settings, check_flags, remembered_profile, resolve_path

_COLLECTION = "the collection"
_OFFLINE = "auto: the tutorial could not be downloaded"


def prepare(
    settings: Settings, again: bool = False, images: bool | None = None, recreate: bool = False
) -> Settings:
    """Complete the settings by what the collection remembers, and fetch or draw what is missing.

    A collection that exists answers for its folder and its model. An image folder of your own is
    left as it is.

    Parameters
    ----------
    settings : Settings
    again : bool
        With the profile "auto", try the tutorial again, whatever was prepared before. `01_setup`
        does this.
    images : bool, optional
        Whether the images are needed as well as the model. By default only if `open_collection`
        might ingest them: a collection that is already filled can be searched without them.
    recreate : bool
        Whether the collection will be deleted first, so that it may be given another folder or
        model.

    Returns
    -------
    Settings
        The settings to go on with. With the profile "auto" and no network they are the demo's,
        and a banner says so.

    Raises
    ------
    ValueError
        If a parameter contradicts the collection, or the collection does not exist and nothing
        says what to fill it with. Then nothing has been downloaded.
    FileNotFoundError
        If the images are needed, and the collection's folder is gone.
    ConnectionError
        If something cannot be downloaded and the demo may not replace it: the profile is not
        "auto", or was prepared before, or the images are your own (the demo's model knows only
        its drawings).
    """
    check_flags(again=again, recreate=recreate)
    if settings.given("image_dir") and settings.has_own_images and not settings.image_dir.is_dir():
        raise FileNotFoundError(f"there is no folder {settings.image_dir}: check image_dir")
    own_images = settings.given("image_dir") and not settings.given("model_name")
    undecided = settings.auto and (again or own_images or not remembered_profile(settings.data_dir))
    if undecided:
        settings = settings.switch("tutorial")
    may_fill = _may_fill(settings)  # or else the name is perhaps mistyped, unless more is said
    said = bool(images) and (settings.given("model_name") or not settings.auto)
    settings = _completed(settings, recreate, may_fill or said)
    undecided = undecided and settings.sources.get("model_name") != _COLLECTION
    images = may_fill if images is None else images
    _check_folder(settings, images)
    try:
        _fetch(settings, images)
    except ConnectionError as error:
        if settings.has_own_images:  # of which the demo's model knows nothing
            raise
        if not undecided:
            raise ConnectionError(f'{error}; or use profile="demo", without a network') from error
        settings = _completed(settings.switch("demo", _OFFLINE), recreate)
        _fetch(settings, images)
        _show_banner(
            "<b>This is the demo.</b> The tutorial's photos and OpenAI's CLIP could not be "
            "downloaded, so this run uses drawings made on this machine and a tiny CLIP trained "
            "on such drawings. Its answers are real, but it knows nothing else; run "
            "01_setup again with a network to get the tutorial."
            f"<br><small>{html.escape(str(error))}</small>"
        )
    if (undecided or again) and not settings.has_own_images:
        with contextlib.suppress(PermissionError):  # a prepared folder may be read-only
            settings.remember()
    drawings = settings.profile == "demo" and not settings.has_own_images
    if settings.model_name == "tiny" and not drawings:
        _show_banner(
            "<b>These are not CLIP's answers.</b> The tiny model knows only this project's "
            "drawings; on other images it shows that everything runs, and nothing more."
        )
    return settings


def open_collection(settings: Settings) -> tuple[ClipEncoder, ImageStore]:
    """Open what `prepare` made ready; return the model, and the collection with its images.

    A collection answers for its own folder and model, as in `prepare`. An empty one is filled, as
    02_ingestion does, unless it was given by name without an image folder: the name may be
    mistyped.

    Raises
    ------
    ValueError
        If the collection is empty and stays empty, or if another model filled it.
    OSError
        If the model, the images or the database cannot be opened.
    """
    settings = _completed(settings)
    encoder = ClipEncoder(settings.model_name)
    store = ImageStore(settings.milvus_uri, settings.collection_name)
    if not store.made_here:  # the paths in it count from there
        store = ImageStore(settings.milvus_uri, settings.collection_name, settings.image_dir)
    if not store.count() and _may_fill(settings):
        ingest(settings.image_dir, encoder, store)
    if not store.count():
        raise ValueError(f"{store} is empty: run 02_ingestion with these settings first")
    store.check_model(encoder)
    store.follow(settings.image_dir)  # a folder that moved, perhaps with the whole project
    return encoder, store


def _may_fill(settings: Settings) -> bool:
    return settings.given("image_dir") or not settings.given("collection_name")


def _completed(settings: Settings, recreate: bool = False, may_make: bool = True) -> Settings:
    """Return the settings with what their collection remembers; ValueError if they contradict."""
    name, names = settings.collection_name, _names(settings)
    if name not in names and not may_make:
        raise ValueError(
            f"there is no collection {name!r}; there are: {', '.join(sorted(names)) or 'none'}. "
            "Check the name, or name the folder to fill it with as image_dir"
        )
    if name not in names:
        return settings
    with ImageStore(settings.milvus_uri, settings.collection_name) as store:
        if not store.made_here and settings.given("model_name") and not recreate:
            base = {} if settings.given("image_dir") else {"image_dir": store.image_dir}
            return settings.completed(_COLLECTION, **base)
        filled_by = store.properties
        folder = Path(filled_by["image_dir"])
        model_name = filled_by.get("model") or filled_by["model_name"]
        settings = _with_model(settings, model_name, recreate)
        if not settings.given("image_dir"):
            moved = not folder.is_dir() and store.holds(settings.image_dir)
            return settings if moved else settings.completed(_COLLECTION, image_dir=folder)
        if recreate or store.holds(settings.image_dir):
            return settings
    raise ValueError(
        f"collection {name!r} holds the images of {folder}, and most of them "
        f"are not in {settings.image_dir}. Choose another collection_name for these, or leave out "
        "image_dir to go on with those"
    )


def _with_model(settings: Settings, model_name: str, recreate: bool) -> Settings:
    """Return the settings with a collection's model, and unless a profile was asked for, its.

    Of a model that was named only the name is checked, and not in place of a file that is gone: a
    file may hold the same model, which is seen when it opens.
    """
    gone = Path(model_name).is_absolute() and not Path(model_name).exists()
    if settings.given("model_name"):
        may_be = gone or recreate or resolve_path(settings.model_name).exists()
        if may_be or settings.model_name == model_name:
            return settings
        raise ValueError(
            f"collection {settings.collection_name!r} was filled by the model {model_name!r}, not "
            f"by {settings.model_name!r}: their vectors cannot be compared. Leave out model_name, "
            "or choose another collection_name"
        )
    if gone:
        raise FileNotFoundError(
            f"collection {settings.collection_name!r} was filled by the model {model_name}, which "
            "is not there: put it back, or name where it is now as model_name"
        )
    settings = settings.completed(_COLLECTION, model_name=model_name)
    return _with_profile(settings) if settings.auto else settings


def _with_profile(settings: Settings) -> Settings:
    """Return the settings with the profile that uses their model, and with its first question."""
    profile = "demo" if settings.model_name == "tiny" else "tutorial"
    settings = settings.completed(_COLLECTION, profile=profile)
    first = {} if settings.given("query_text") else {"query_text": PROFILES[profile]["query_text"]}
    return settings.completed("profile", **first)


def _names(settings: Settings) -> list[str]:
    """Return the names of the collections in a database, which need not exist.

    ValueError if the one that is looked for can be none.
    """
    uri = settings.milvus_uri
    if "://" not in uri and not Path(uri).exists():
        return []
    with ImageStore(uri, settings.collection_name) as store:
        return store.client.list_collections()


def _check_folder(settings: Settings, needed: bool) -> None:
    """Say that the folder of the images is gone; FileNotFoundError if it is needed."""
    if settings.image_dir.is_dir() or not settings.has_own_images:
        return
    gone = (
        f"the images of collection {settings.collection_name!r} were in {settings.image_dir}, "
        "which is not there. Connect its disk, or name the folder where they are now as image_dir"
    )
    if needed:
        raise FileNotFoundError(gone)
    _show_banner(html.escape(gone))


def _fetch(settings: Settings, images: bool) -> None:
    folder = settings.data_dir / settings.profile
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        error.strerror = (
            f"the data folder cannot be made ({error.strerror}): set the environment variable "
            "IMAGE_SEARCH_DATA_DIR to a folder that you may write"
        )
        raise
    fetch(settings.model_name)
    wanted = images and not settings.has_own_images
    if wanted and settings.profile == "demo":
        draw_demo_images(settings.image_dir)
    elif wanted:
        fetch_tutorial_images(folder)


class _Banner(HTML):
    """A message in HTML that a terminal can show, too."""

    def __repr__(self) -> str:
        return html.unescape(re.sub("<[^>]*>", " ", self.data)).strip()


def _show_banner(message: str) -> None:
    style = "border-left:5px solid #e08a00;background:#e08a0022;padding:8px 12px"
    display(_Banner(f"<div style='{style}'>{message}</div>"))
