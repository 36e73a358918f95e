"""Files known by their content: a photo that moved, or was renamed, touched or copied.

It keeps its vector. Not about encoding, or what else an
ingestion does: that is `ingestion`.
"""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .batches import batches, map_batches
from .collection.store import ImageStore
from .images.files import ImageFile
from .images.pictures import content_digest

PLACE = ["id", "filepath", "size", "digest"]
"""The fields of a row that tell where its image is and what is in it."""

_AT_ONCE = 500  # files


class Recognised(NamedTuple):
    """A file, the digest of its content, and the stored `rows` of the same content.

    The digest is empty if the file need not be read: no row and no other file has its size.
    """

    file: ImageFile
    digest: str
    rows: list[dict]


def rows_of_these_sizes(files: Iterable[ImageFile], store: ImageStore) -> list[dict]:
    """Return the rows, as `recognise` needs them, of images as large as one of these files."""
    return store.find("size", {file.facts["size"] for file in files}, PLACE)


def recognise(files: Sequence[ImageFile], rows: Iterable[dict]) -> Iterator[list[Recognised]]:
    """Yield files in batches, each with those of the rows that have its content.

    The next batch is read meanwhile. A row that was written before there were digests is not
    recognised.

    Parameters
    ----------
    files
    rows : iterable of dict
        With the fields of `PLACE`; at least those with the size of one of the files.
    """
    known = by_digest(rows)
    sizes = {row["size"] for alike in known.values() for row in alike}
    several = Counter(file.facts["size"] for file in files)

    def digest(file: ImageFile) -> str:
        if file.facts["size"] not in sizes and several[file.facts["size"]] == 1:
            return ""
        try:
            return content_digest(file)
        except OSError:  # whoever opens it next says why
            return ""

    with contextlib.closing(map_batches(digest, files, _AT_ONCE, 1)) as digests:
        for batch, found in zip(batches(files, _AT_ONCE), digests, strict=True):
            yield [Recognised(f, d, known.get(d, [])) for f, d in zip(batch, found, strict=True)]


def by_digest(rows: Iterable[dict]) -> dict[str, list[dict]]:
    """Return the rows of each digest, without those that have none."""
    found = defaultdict(list)
    for row in rows:
        if row["digest"]:
            found[row["digest"]].append(row)
    return found
