"""Files that come into the search panel, and go out of it: uploads, and copies of photos."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

from ..images.pictures import load_image
from ..query.results import SearchResults


class Uploads:
    """Images that people upload, each kept as a file of its own in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pieces = bytearray()

    def take(self, name: str, first: bool, last: bool, content: memoryview) -> Path | None:
        """Take a piece of an image; return the file after the last one, else None.

        One message to Jupyter holds 10 MB at most, an image may hold more.

        Raises
        ------
        OSError
            If it is no image, or cannot be written.
        """
        if first:
            self._pieces.clear()
        self._pieces += content
        return self._keep(name, bytes(self._pieces)) if last else None

    def _keep(self, name: str, content: bytes) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.blake2b(content, digest_size=4).hexdigest()
        path = self._folder / f"{digest}-{re.sub(r'[^A-Za-z0-9._-]', '_', name)[-60:]}"
        path.write_bytes(content)
        try:
            load_image(path)
        except OSError as error:
            path.unlink()
            raise OSError(str(error).replace(str(path), name)) from error
        return path


def copy_photos(found: SearchResults, folder: Path) -> str:
    """Copy photos into a folder, as `SearchResults.copy_to` does; return what to say about it.

    Raises
    ------
    OSError
        If none of the photos is there any more, or the folder cannot be written.
    """
    there = [hit for hit in found if hit.path.is_file()]
    if not there:
        raise OSError("nothing was copied: the photos were moved or deleted")
    number = len(set(replace(found, hits=tuple(there)).copy_to(folder)))
    gone = len(found) - len(there)
    words = f"{number:,} {'photo is' if number == 1 else 'photos are'} in {folder}"
    return f"{words}; {gone:,} {'is' if gone == 1 else 'are'} gone" if gone else words
