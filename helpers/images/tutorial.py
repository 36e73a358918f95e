"""The tutorial's photos, fetched once. The demo's drawings come from `demo`."""

import os
import tempfile
import zipfile
from pathlib import Path

TUTORIAL_URL = (
    "https://github.com/towhee-io/examples/releases/download/data/reverse_image_search.zip"
)
_TIMEOUT = (5, 30)  # seconds: to connect, and to wait for the next byte


def fetch_tutorial_images(folder: str | os.PathLike, url: str = TUTORIAL_URL) -> Path:
    """Download and unpack the tutorial's photos, once.

    Parameters
    ----------
    folder : path
        Where the folder `images` goes, with `train` (1,000 photos, 100 classes x 10) and `test`.
        `images` appears only when it is complete. So a second call does nothing, and a call after
        an interruption starts again.
    url : str
        Where the zip is.

    Returns
    -------
    Path
        The folder of the training photos.

    Raises
    ------
    ConnectionError
        If the file cannot be downloaded, or what arrives is not a whole zip.
    ValueError
        If the zip is not the tutorial's.
    """
    images = Path(folder).expanduser() / "images"
    if not images.is_dir():
        images.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=images.parent) as draft:
            _unpack(_download(url, Path(draft), images), Path(draft, "images"), url)
            Path(draft, "images").rename(images)
    return images / "train"


def _download(url: str, draft: Path, images: Path) -> Path:
    """Download into a folder that is deleted in the end; return where the zip is."""
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=_TIMEOUT)
    try:
        return Path(pooch.retrieve(url, None, path=draft, downloader=downloader))
    except requests.exceptions.RequestException as error:
        raise ConnectionError(
            f"the tutorial's images could not be downloaded from {url} "
            f"({type(error).__name__}). Try again; or unpack the zip by hand so that "
            f"{images / 'train'} exists"
        ) from error


def _unpack(archive: Path, images: Path, url: str) -> None:
    """Unpack and check what was downloaded; the caller renames it only if it is right."""
    try:
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(images)  # into this folder, whatever the entries are called
    except zipfile.BadZipFile as error:
        raise ConnectionError(
            f"what was downloaded from {url} is not a whole zip file ({error}): is there a proxy "
            "or a login page in between?"
        ) from error
    _check_tutorial(images)


def _check_tutorial(folder: Path) -> None:
    photos = list(folder.glob("train/*/*"))
    classes = {photo.parent for photo in photos}
    if (len(photos), len(classes)) != (1000, 100):
        raise ValueError(
            f"the zip holds {len(photos)} training photos in {len(classes)} classes, "
            "not the tutorial's 1,000 in 100: it is not the tutorial's file, so check the url"
        )
