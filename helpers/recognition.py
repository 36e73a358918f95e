"""Files known by their content: a photo that moved, or was renamed, touched or copied.

It keeps its vector. Not about encoding, or what else an ingestion does: that is `ingestion`.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from .batches import batches, map_batches
from .collection.store import ImageStore
from .images.files import ImageFile
from .images.pictures import content_digest

__all__ = ["Recognised", "recognise", "same_content"]

_AT_ONCE = 1000  # files; a query for their sizes takes Lite 0.1 s among 10,000 rows
_PLACE = ["id", "filepath", "size", "digest"]


class Recognised(NamedTuple):
    """A file, the digest of its content, and the stored `rows` of the same content.

    The digest is empty if the file need not be read: no row and no other file has its size.
    """

    file: ImageFile
    digest: str
    rows: list[dict]


def recognise(files: Sequence[ImageFile], store: ImageStore) -> Iterator[list[Recognised]]:
    """Yield files in batches, each with the `id` and `filepath` of the rows of its content.

    A row that was written before there were digests is not recognised.
    """
    sizes = Counter(file.facts["size"] for file in files)
    several = {size for size, number in sizes.items() if number > 1}
    for batch in batches(files, _AT_ONCE):
        stored = store.find("size", {file.facts["size"] for file in batch}, _PLACE)
        known = _by_digest(stored)
        digests = _digests(batch, several | {row["size"] for row in stored if row["digest"]})
        yield [
            Recognised(file, digest, known.get(digest, []))
            for file, digest in zip(batch, digests, strict=True)
        ]


def same_content(rows: Sequence[dict], store: ImageStore) -> Iterator[tuple[dict, list[dict]]]:
    """Yield each row that has a digest, with the other rows that have the same."""
    with_digest = [row for row in rows if row["digest"]]
    for batch in batches(with_digest, _AT_ONCE):
        known = _by_digest(store.find("digest", {row["digest"] for row in batch}, _PLACE))
        for row in batch:
            yield row, [other for other in known[row["digest"]] if other["id"] != row["id"]]


def _by_digest(rows: Sequence[dict]) -> dict[str, list[dict]]:
    found = defaultdict(list)
    for row in rows:
        if row["digest"]:
            found[row["digest"]].append(row)
    return found


def _digests(files: Sequence[ImageFile], sizes: Collection[object]) -> list[str]:
    """Return the digests of files, read in threads, or "" for those of another size."""

    def digest(file: ImageFile) -> str:
        if file.facts["size"] not in sizes:
            return ""
        try:
            return content_digest(file)
        except OSError:  # whoever opens it next says why
            return ""

    (found,) = map_batches(digest, files, len(files), 0)
    return found
