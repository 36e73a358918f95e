"""What a search found: hits that show themselves as pictures, a table, a CSV file or a text."""

import contextlib
import filecmp
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ..collection.columns import dtypes, shown
from ..images.gallery import grid_html, isolated
from .queries import Query, Question, Term

# Where a cell begins, also for a program that takes ; or a tab for the end of one, and then
# what it would compute: OWASP's list for CSV injection, after spaces and quotes, if any.
_COMPUTED = r"(?:^|(?<=[;\t\r\n])){}(?=(?:[^\S\t\r\n]|['\"])*[=+\-@\t\r\n\uff0b\uff0d\uff1d\uff20])"

_NAMED = 10  # reasons why images were not copied
_LONGEST = 240  # bytes of a name, before its number and its ending


@dataclass(frozen=True)
class Hit:
    """One image found, with the facts that `columns` shows: `filepath`, `label`, `width` and so on.

    `taken` is a datetime by the camera's clock. It, `latitude` and `longitude` are None where the
    photo does not tell them, and `camera` is empty.

    `score` is the cosine between query and image, and what hits are ordered by. `margin` is how far
    that is above chance (see `chance`; None where there is no telling). A query with *not* or *or*
    is ordered by the margin, which is then what `logic` ranks by, in standard deviations of random
    images; its score is the cosine with what is looked for, and with the nearest of an `AnyOf`, or
    minus the cosine with what to stay away from, if that is all.

    `path` is where the image is. `alike` lists its exact copies among the images found or, with
    `unique`, the near-duplicates merged into it.
    """

    score: float
    margin: float | None
    path: Path
    facts: Mapping[str, Any]
    alike: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        facts = self.__dict__.get("facts", {})
        if name not in facts:
            raise AttributeError(f"a hit has no {name!r}")
        return facts[name]

    @property
    def caption(self) -> str:
        """Score and margin; the label, or the file's name if there is none; the day if known."""
        margin = "" if self.margin is None else f" · margin {self.margin:.1f}"
        alike = f" (+{len(self.alike)} alike)" if self.alike else ""
        day = f" · {self.taken:%Y-%m-%d}" if self.taken else ""
        name = isolated(self.label or Path(self.filepath).name)
        return f"{self.score:.3f}{margin}\n{name}{day}{alike}"


@dataclass(frozen=True)
class SearchResults(Sequence):
    """The hits, best first; a notebook shows them as a grid.

    Attributes
    ----------
    question : Question
        What was asked, as `parse` read it.
    hits : tuple of Hit
    options : dict
        The other arguments of `search` that were not left at their defaults.
    image_dir : Path or None
        The folder that each `filepath` counts from.
    margin : float or None
        The largest margin among the hits or ten images, whichever are more: from `offset` on, or
        of all if the hits are sorted.
    note : str
        Why nothing was found, if nothing was; or why there is no verdict, and where sorting ended
        before the limit.
    threshold : float or None
        The margin at which matches begin; None if it was not measured, or not for such queries:
        it is for single texts alone.
    milliseconds : dict
        How long the whole search took (`total`), and the parts of it in the model (`encoding`)
        and in Milvus (`searching`).
    way : str
        How texts were asked, and what that gained here, if `helpers.tune` found it to be better.
    """

    question: Question
    hits: tuple[Hit, ...]
    options: Mapping[str, Any]
    image_dir: Path | None
    margin: float | None
    threshold: float | None
    note: str
    milliseconds: Mapping[str, float] = field(compare=False)
    way: str = ""

    def __getitem__(self, index):
        return self.hits[index]

    def __len__(self) -> int:
        return len(self.hits)

    @property
    def query(self) -> Term | Query:
        """What was asked, as it was given."""
        return self.question.asked

    @property
    def matches(self) -> bool | None:
        """Whether anything here matches well; None if there is no verdict."""
        if self.threshold is None or self.margin is None:
            return None
        return self.margin >= self.threshold

    @property
    def code(self) -> str:
        """The call that asks this again, as one line of Python."""
        options = [f"{name}={value!r}" for name, value in self.options.items()]
        query = self.question.code(self.image_dir)
        return f"search({', '.join([query, 'encoder', 'store', *options])})"

    @property
    def verdict(self) -> str:
        """What `matches` says, in words; empty if there is no verdict."""
        if self.matches is None:
            return ""
        what = "There are matches" if self.matches else "Nothing here matches well"
        margins = f"the best margin is {self.margin:.1f}, matches begin at {self.threshold:.1f}"
        return f"{what}: {margins}"

    @property
    def counted(self) -> str:
        """How many images there are, in words."""
        return "1 image" if len(self) == 1 else f"{len(self)} images"

    @property
    def summary(self) -> str:
        """The query, how many images it found, how long it took, its way, and if none matches."""
        title, spent = isolated(self.question.title), self.milliseconds["total"]
        way = f", {self.way}" if self.way else ""
        words = f"{title}: {self.counted} in {spent:.0f} ms{way}"
        more = self.verdict if self.matches is False else self.note
        return f"{words}. {more}" if more else words

    def to_frame(self) -> pd.DataFrame:
        """Return the hits as a table: filepath, score and margin, then what else is shown."""
        first, *others = shown()
        names = [first, "score", "margin", *others]
        rows = [[getattr(hit, name) for name in names] for hit in self]
        kinds = {"score": float, "margin": float} | dtypes()
        return pd.DataFrame(rows, columns=names).astype(kinds)

    def to_csv(self, path: str | os.PathLike) -> Path:
        """Write that table in UTF-8, with columns for query and rank first; return the path.

        A byte order mark comes first, without which Excel reads é as Ã©; pandas skips it.

        It is safe to open in a spreadsheet: see `safe_csv`. So pandas reads a label "-x" as "'-x",
        until `as_written` takes the apostrophe away; `to_frame` has it as it is.
        """
        path = Path(path).expanduser().resolve()
        path.write_text(self.csv(), encoding="utf-8-sig", newline="")
        return path

    def csv(self, places: Sequence[int] | None = None) -> str:
        """Return the text of that file, or of its rows at these places, counted from 0."""
        table = self.to_frame()
        table.insert(0, "query", self.question.title)
        table.insert(1, "rank", table.index + 1 + self.options.get("offset", 0))
        return safe_csv(table if places is None else table.iloc[list(places)])

    def copy_to(self, folder: str | os.PathLike) -> list[Path]:
        """Copy the images into a folder, under their names, and return where each now is.

        The folder is made if it is not there. No file is ever written over: an image whose name
        is taken gets a number, unless it is the same file, which is then left as it is.

        Raises
        ------
        OSError
            If the folder cannot be made. Or if an image is gone or cannot be copied: once all
            others are, and with the names of those that are not.
        """
        folder = Path(folder).expanduser().resolve()
        filecmp.clear_cache()  # which trusts sizes and times
        copies, failed = [], []
        for hit in self:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                copies.append(_copied(hit.path, folder))
            except OSError as error:
                failed.append(error)
        if failed:
            why = dict.fromkeys(f"{e.filename or folder} ({e.strerror or e})" for e in failed)
            words = f"{len(copies)} of {len(self)} images are in {folder}, the others not"
            raise type(failed[0])(f"{words}: {', '.join([*why][:_NAMED])}")
        return copies

    def explained(self, hit: Hit) -> str:
        """Return what score and margin of a hit say, in words."""
        cosine = f"cosine {hit.score:.3f}"
        if hit.margin is None:
            return cosine
        above = f"{hit.margin:.1f} above chance"
        if self.threshold is None:
            return f"{above}, in standard deviations; {cosine}"
        verdict = "a match" if hit.margin >= self.threshold else "probably no match"
        return f"{verdict}: {above}, and matches begin at {self.threshold:.1f}; {cosine}"

    def to_html(self, columns: int = 5) -> str:
        """Return the grid as HTML, with a caption below each picture."""
        paths, captions = [hit.path for hit in self], [hit.caption for hit in self]
        return grid_html(paths, captions, columns, self.summary)

    _repr_html_ = to_html

    def __repr__(self) -> str:
        lines = (f"{rank:4}  {hit.score:.3f}  {hit.filepath}" for rank, hit in enumerate(self, 1))
        return "\n".join([self.summary, *lines])


def safe_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV of which a spreadsheet computes nothing, whoever wrote its texts.

    A text gets an apostrophe in front if it begins, after any spaces and quotation marks, with
    one of = + - @ (also those of full width), a tab or a line break; and so does, inside it, what
    comes after a semicolon, a tab or a line break. Numbers and dates stay as they are.
    """
    texts = table.select_dtypes(exclude=["number", "datetime"])
    safe = table.assign(**texts.map(_guarded))
    return safe.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%S", lineterminator="\r\n")


def as_written(text: str) -> str:
    """Return a text from a table of `safe_csv` without the apostrophes that were put into it."""
    return re.sub(_COMPUTED.format("'"), "", text)


def _guarded(cell: object) -> object:
    return re.sub(_COMPUTED.format(""), "'", cell) if isinstance(cell, str) else cell


def _copied(path: Path, folder: Path) -> Path:
    """Copy a file into a folder, under a name that is free, and return where it is."""
    target, number = folder / path.name, 1
    while os.path.lexists(target):
        if target.is_file() and filecmp.cmp(path, target, shallow=False):
            return target
        number += 1
        stem = path.stem.encode()[:_LONGEST].decode(errors="ignore")
        target = folder / f"{stem} ({number}){path.suffix}"
    with contextlib.ExitStack() as undo, open(path, "rb") as source, open(target, "xb") as copy:
        undo.callback(target.unlink)  # half a photo
        shutil.copyfileobj(source, copy)
        undo.pop_all()
    with contextlib.suppress(OSError):  # not every disk keeps times and rights
        shutil.copystat(path, target)
    return target
