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
            _fetch_into(Path(draft), url, images)
            Path(draft, "images").rename(images)
    return images / "train"


def _fetch_into(draft: Path, url: str, images: Path) -> None:
    """Download, unpack and check; the caller renames the folder only if it is right."""
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=_TIMEOUT)
    unzip = pooch.Unzip(extract_dir="images")  # into this folder, whatever the entries are called
    try:
        pooch.retrieve(url, None, path=draft, downloader=downloader, processor=unzip)
    except requests.exceptions.RequestException as error:
        raise ConnectionError(
            f"the tutorial's images could not be downloaded from {url} "
            f"({type(error).__name__}). Try again; or unpack the zip by hand so that "
            f"{images / 'train'} exists"
        ) from error
    except zipfile.BadZipFile as error:
        raise ConnectionError(
            f"what was downloaded from {url} is not a whole zip file ({error}): is there a proxy "
            "or a login page in between?"
        ) from error
    photos = list(draft.glob("images/train/*/*"))
    classes = {photo.parent for photo in photos}
    if (len(photos), len(classes)) != (1000, 100):
        raise ValueError(
            f"the zip holds {len(photos)} training photos in {len(classes)} classes, "
            "not the tutorial's 1,000 in 100: it is not the tutorial's file, so check the url"
        )
