"""`Asked`: all that is set in the search panel, as one value: to search, to go back to, to share.

Not about widgets: that is `panel`.
"""

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from ..collection.columns import sortable
from ..collection.filters import like
from ..collection.store import ImageStore
from ..encoding import Encoder
from ..images.gallery import picture_address
from ..query.queries import TEMPLATES, Query
from ..query.results import SearchResults
from ..retrieval import search

_WORDS = {"unlike": "unlike", "taken_from": "from", "taken_to": "until", "camera": "camera"}
_WORDS |= {"name": "name has"}
_GENERAL = ("people", "food", "a building", "outdoors")
_HERE_ONLY = ("camera", "name", "judged")
"""What 03_search has no parameter for."""


@dataclass(frozen=True)
class Asked:
    """A question as the panel has it.

    Attributes
    ----------
    query_text, unlike : str
        Words to look for, and to stay away from; these have half a weight, see `Query`.
    query_image : Path or None
        An image to be like.
    labels : tuple of str
        Only images with one of these labels.
    taken_from, taken_to : str
        Dates, see `dates.period`.
    camera, name : str
        Pieces of the camera's name, and of the `filepath`.
    sort_by : str
        See `search`.
    templates : bool
        Whether texts are asked in several phrasings.
    judged : dict
        From the paths of images to weights: above 0 for more like this, below 0 for less.
    """

    query_text: str = ""
    query_image: Path | None = None
    unlike: str = ""
    labels: tuple[str, ...] = ()
    taken_from: str = ""
    taken_to: str = ""
    camera: str = ""
    name: str = ""
    sort_by: str = ""
    templates: bool = False
    judged: Mapping[Path, float] = field(default_factory=dict)

    def search(
        self, encoder: Encoder, store: ImageStore, limit: int, offset: int = 0
    ) -> SearchResults:
        """Ask; see `retrieval.search`."""
        return search(
            self.query,
            encoder,
            store,
            limit=limit,
            offset=offset,
            where=self._where(),
            templates=list(TEMPLATES) if self.templates else None,
            sort_by=self.sort_by,
        )

    @property
    def query(self) -> Query:
        """The words and images of the question."""
        good = [(path, weight) for path, weight in self.judged.items() if weight > 0]
        bad = [(path, -weight) for path, weight in self.judged.items() if weight < 0]
        asked = Query.of(self.query_text, self.query_image, self.unlike)
        return asked.with_feedback(good, bad)

    def _where(self) -> dict[str, object]:
        where: dict[str, object] = {"label": list(self.labels)} if self.labels else {}
        if self.taken_from or self.taken_to:
            where["taken"] = self.taken_from or None, self.taken_to or None
        if self.camera:
            where["camera"] = like(f"*{self.camera}*")
        if self.name:
            where["filepath"] = like(f"*{self.name}*")
        return where

    def chips(self) -> list[dict[str, Any]]:
        """Return what narrows the search beside the words: an `id`, a `text`, and a `picture`."""
        chips: list[dict[str, Any]] = []
        if self.query_image:
            chips.append({"id": "query_image", "text": f"like {self.query_image.name}"})
            chips[-1] |= _picture(self.query_image)
        for name, words in _WORDS.items():
            if value := getattr(self, name):
                chips.append({"id": name, "text": f"{words} {value}"})
        chips += [{"id": f"labels:{label}", "text": label} for label in self.labels]
        for path, weight in self.judged.items():
            text = f"{'more' if weight > 0 else 'less'} like {path.name}"
            chips.append({"id": _chip(path), "text": text, "weight": abs(weight)})
            chips[-1] |= _picture(path)
        if self.sort_by:
            chips.append({"id": "sort_by", "text": "newest first"})
        return chips

    def without(self, chip: str) -> "Asked":
        """Return the question without what a chip stands for."""
        name, _, part = chip.partition(":")
        if name == "labels":
            return replace(self, labels=tuple(label for label in self.labels if label != part))
        if name == "judged":
            return self.weighed(chip, 0)
        blank: Any = None if name == "query_image" else ""
        return replace(self, **{name: blank})

    def weighed(self, chip: str, weight: float) -> "Asked":
        """Return the question where what a chip stands for counts so much, as good or as bad."""
        for path, each in self.judged.items():
            if _chip(path) == chip:
                return self.weighing(path, math.copysign(weight, each))
        return self

    def weighing(self, path: Path, weight: float) -> "Asked":
        """Return the question with an image that counts so much; 0 for not at all."""
        judged = {**self.judged, path: weight}
        return replace(self, judged={path: each for path, each in judged.items() if each})

    def parameters(self, folder: Path | None) -> dict[str, Any]:
        """Return what is set as parameters of 03_search; paths count from `folder` if they can."""
        values = dict(vars(self))
        values["labels"] = list(self.labels)
        values["templates"] = list(TEMPLATES) if self.templates else None
        values["query_image"] = _below(self.query_image, folder)
        kept = {n: value for n, value in values.items() if value and n not in _HERE_ONLY}
        return {"query_text": "", **kept}

    def papermill(self, parameters: Mapping[str, Any]) -> str:
        """Return the command that asks this by 03_search, or why there is none."""
        if here := [name for name in _HERE_ONLY if getattr(self, name)]:
            return f"# 03_search has no parameter for {' and '.join(here)}: use the line above"
        return f"papermill 03_search.ipynb out.ipynb -y {shlex.quote(json.dumps(parameters))}"

    def address(self, folder: Path | None) -> str:
        """Return the question as the end of a page's address; images elsewhere are left out."""
        values = dict(vars(self))
        values["query_image"] = _relative(self.query_image, folder)
        judged = {_relative(path, folder): weight for path, weight in self.judged.items()}
        values["judged"] = [f"{weight:g} {path}" for path, weight in judged.items() if path]
        values["templates"] = "1" if self.templates else ""
        return urlencode({name: value for name, value in values.items() if value}, doseq=True)

    @classmethod
    def at(cls, address: str, folder: Path | None) -> "Asked":
        """Return the question of a page's address; what cannot be read in it does not count."""
        lists = parse_qs(address)
        given = {name: values[-1] for name, values in lists.items()}
        asked = {name: given.get(name, "") for name in ("query_text", *_WORDS)}
        sort_by = given.get("sort_by", "")
        judged = {}
        for entry in lists.get("judged", []):
            weight, _, name = entry.partition(" ")
            judged[_inside(name, folder)] = _weight(weight)
        return cls(
            query_image=_inside(given.get("query_image", ""), folder),
            labels=tuple(lists.get("labels", [])),
            sort_by=sort_by if sort_by in sortable() else "",
            templates=given.get("templates") == "1",
            judged={path: weight for path, weight in judged.items() if path and weight},
            **asked,
        )


class History:
    """The questions that were asked, and which of them is shown now."""

    def __init__(self) -> None:
        self._all: list[Asked] = []
        self._at = -1

    @property
    def first(self) -> Asked:
        """The oldest question; one that asks nothing if there is none."""
        return self._all[0] if self._all else Asked()

    @property
    def is_first(self) -> bool:
        """Whether none is before the one that is shown."""
        return self._at <= 0

    @property
    def is_last(self) -> bool:
        """Whether none is after it."""
        return self._at + 1 == len(self._all)

    def add(self, asked: Asked) -> None:
        """Take another question in the place of all after the one that is shown."""
        if not self._all or self._all[self._at] != asked:
            self._all[self._at + 1 :] = [asked]
            self._at += 1

    def step(self, by: int) -> Asked:
        """Go back by -1 or forward by 1, if one can; return the question that is shown then."""
        self._at = min(max(self._at + by, 0), len(self._all) - 1)
        return self._all[self._at]


def _chip(path: Path) -> str:
    """Return the id of a thumb's chip, which tells visitors no path."""
    return f"judged:{hash(path)}"


def _picture(path: Path) -> dict[str, str]:
    try:
        return {"picture": picture_address(path)}
    except OSError:
        return {}


def _below(path: Path | None, folder: Path | None) -> str:
    return _relative(path, folder) or (path.as_posix() if path else "")


def _relative(path: Path | None, folder: Path | None) -> str:
    if not path or not folder or not path.is_relative_to(folder):
        return ""
    return path.relative_to(folder).as_posix()


def _inside(name: str, folder: Path | None) -> Path | None:
    """Return an image below a folder; None for anything that leads out of it."""
    if not name or not folder:
        return None
    try:
        path = (folder / name).resolve()
        return path if path.is_relative_to(folder) and path.is_file() else None
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    if not math.isfinite(weight) or not weight:
        return 0.0
    return math.copysign(min(max(abs(weight), 0.1), 10), weight)  # as far as a chip goes


def suggestions(labels: Sequence[str], most: int = 4) -> list[str]:
    """Return texts to begin with: a few of a collection's labels, or general ones without any."""
    named = [label.replace("_", " ").strip() for label in labels]
    named = [text for text in named if any(map(str.isalpha, text))] or list(_GENERAL)
    return named[:: max(1, len(named) // most)][:most]
