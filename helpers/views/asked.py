"""`Asked`: all that is set in the search panel, as one value: to search, to go back to, to share.

To ask for something else that is typed, add a line to `Asked`: its box, its chip, its part of the
address and its condition follow from that. Not about widgets: that is `panel`.
"""

import contextlib
import json
import math
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from ..collection.columns import sortable
from ..collection.filters import like
from ..collection.store import ImageStore
from ..encoding import Encoder
from ..images.gallery import isolated, picture_address
from ..query.queries import TEMPLATES, Query
from ..query.reading import Part, Reading
from ..query.results import SearchResults
from ..retrieval import search

_TRIES = 4
_GENERAL = ("people", "food", "a building", "outdoors")
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]\d+)?")


def _text(label: str, hint: str, chip: str = "", piece_of: str = "") -> Any:
    """Return a field of `Asked` that is typed.

    `label` and `hint` stand at its box and in it. Its chip begins with `chip`, or else the label;
    without either it has none. It is a piece of what is in the column `piece_of`: for such fields
    03_search has no parameter.
    """
    typed = {"box": (label, hint), "chip": chip or label, "piece_of": piece_of}
    return field(default="", metadata=typed)


@dataclass(frozen=True)
class Asked:
    """A question as the panel has it.

    Attributes
    ----------
    query_text : str
        Words to look for, which are read, see `Query.read`.
    literal : tuple of str
        What somebody took off again of what was read: phrases that are plain words.
    unlike : str
        Words to stay away from, as they are.
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

    query_text: str = _text("", "what to look for, in English")
    literal: tuple[str, ...] = ()
    query_image: Path | None = None
    unlike: str = _text("unlike", "words to stay away from")
    labels: tuple[str, ...] = ()
    taken_from: str = _text("from", "2019, 2019-06 or 2019-06-15")
    taken_to: str = _text("until", "the end of then")
    camera: str = _text("camera", "a piece of its name; capitals count", piece_of="camera")
    name: str = _text(
        "file", "a piece of its name, or its folder's; capitals count", "name has", "filepath"
    )
    sort_by: str = ""
    templates: bool = False
    judged: Mapping[Path, float] = field(default_factory=dict)

    @classmethod
    def plainly(cls, words: str) -> "Asked":
        """Return the question for words in which nothing is read, such as a label."""
        return cls(words, (words,) if cls(words).parts else ())

    def search(self, encoder: Encoder, store: ImageStore, **page: int) -> SearchResults:
        """Ask for a page, by `limit` and `offset`; see `retrieval.search`.

        ValueError if the dates that were read contradict those of `taken_from` and `taken_to`.
        """
        options: dict[str, Any] = {"where": self._where(), "sort_by": self.sort_by, **page}
        options["templates"] = list(TEMPLATES) if self.templates else None
        return search(self.query, encoder, store, **options)

    @property
    def reading(self) -> Reading:
        """What the words mean, as of today; ValueError if nothing can be meant."""
        return Query.read(self.query_text, literal=self.literal)

    @property
    def parts(self) -> tuple[Part, ...]:
        """What was read in the words, and what is plain words again; none if that fails."""
        with contextlib.suppress(ValueError):
            return self.reading.parts
        return ()

    @property
    def query(self) -> Query:
        """The words and images of the question."""
        good = [(path, weight) for path, weight in self.judged.items() if weight > 0]
        bad = [(path, -weight) for path, weight in self.judged.items() if weight < 0]
        asked = Query.of(self.reading.query, self.query_image, self.unlike)
        return asked.with_feedback(good, bad)

    def _where(self) -> dict[str, object]:
        dates = self.taken_from or None, self.taken_to or None
        where = {"label": list(self.labels), "taken": dates if any(dates) else None}
        typed = {column: getattr(self, name) for name, column in _PIECES.items()}
        where |= {column: like(f"*{piece}*") for column, piece in typed.items() if piece}
        return self.reading.within({name: wanted for name, wanted in where.items() if wanted})

    def chips(self) -> list[dict[str, Any]]:
        """Return what was read in the words, and what narrows the search beside them.

        Each has an `id` and a `text`. What was read is `off` or not: then its text is the words.
        Images have a `picture`, empty if it cannot be read, and what is judged has its `weight`.
        """
        image = self.query_image
        chips: list[dict[str, Any]] = [
            {"id": f"literal:{typed}", "text": isolated(meaning if on else typed), "off": not on}
            for typed, meaning, on in self.parts
        ]
        chips += [_image_chip("query_image", "like", image)] if image else []
        texts = {n: isolated(getattr(self, n)) for n, typed in TEXTS.items() if typed["chip"]}
        chips += [{"id": n, "text": f"{TEXTS[n]['chip']} {t}"} for n, t in texts.items() if t]
        chips += [{"id": f"labels:{label}", "text": isolated(label)} for label in self.labels]
        for path, weight in self.judged.items():
            words = "more like" if weight > 0 else "less like"
            chips.append(_image_chip(_chip(path), words, path) | {"weight": abs(weight)})
        chips += [{"id": "sort_by", "text": "newest first"}] if self.sort_by else []
        return chips

    def without(self, chip: str) -> "Asked":
        """Return the question without what a chip stands for; what is off is read again."""
        name, _, part = chip.partition(":")
        if name == "literal":
            return replace(self, literal=tuple(sorted({*self.literal} ^ {part})))
        if name == "labels":
            return replace(self, labels=tuple(label for label in self.labels if label != part))
        if name == "judged":
            return self.weighed(chip, 0)
        return replace(self, **{name: getattr(Asked, name)})

    def weighed(self, chip: str, weight: float) -> "Asked":
        """Return the question where what a chip stands for counts so much, as good or as bad."""
        same = [path for path in self.judged if _chip(path) == chip]
        return self.weighing({path: math.copysign(weight, self.judged[path]) for path in same})

    def weighing(self, weights: Mapping[Path, float]) -> "Asked":
        """Return the question with images that count so much; 0 for not at all."""
        judged = {**self.judged, **weights}
        return replace(self, judged={path: weight for path, weight in judged.items() if weight})

    def parameters(self, folder: Path | None) -> dict[str, Any]:
        """Return what is set as parameters of 03_search; paths count from `folder` if they can."""
        image, values = self.query_image, dict(vars(self))
        values |= {"labels": list(self.labels), "literal": list(self.literal)}
        values["templates"] = list(TEMPLATES) if self.templates else None
        values["query_image"] = _relative(image, folder) or (image and image.as_posix())
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
        values["templates"] = int(self.templates)
        return urlencode({name: value for name, value in values.items() if value}, doseq=True)

    @classmethod
    def at(cls, address: str, folder: Path | None, meant: Callable = lambda label: ()) -> "Asked":
        """Return the question of a page's address; what cannot be read in it does not count.

        `meant` returns the labels that somebody meant, if there are any.
        """
        lists = parse_qs(address)
        given = {name: values[-1] for name, values in lists.items()}
        entries = [entry.partition(" ") for entry in lists.get("judged", [])]
        judged = {_inside(name, folder): _weight(weight) for weight, _, name in entries}
        labels = (each for label in lists.get("labels", []) for each in meant(label) or [label])
        chosen: dict[str, Any] = {name: given.get(name, "") for name in TEXTS}
        chosen["query_image"] = _inside(given.get("query_image", ""), folder)
        chosen["judged"] = {path: weight for path, weight in judged.items() if path and weight}
        chosen["sort_by"] = given["sort_by"] if given.get("sort_by") in sortable() else ""
        chosen["templates"] = given.get("templates") == "1"
        chosen["literal"] = tuple(lists.get("literal", []))
        return cls(labels=tuple(dict.fromkeys(labels)), **chosen)


TEXTS = {each.name: each.metadata for each in fields(Asked) if each.metadata}
"""What is typed, by the names of the fields; see `_text`."""

_PIECES = {name: typed["piece_of"] for name, typed in TEXTS.items() if typed["piece_of"]}
_HERE_ONLY = (*_PIECES, "judged")  # what 03_search has no parameter for


def _chip(path: Path) -> str:
    """Return the id of a thumb's chip, which tells visitors no path."""
    return f"judged:{hash(path)}"


def _image_chip(id: str, words: str, path: Path) -> dict[str, Any]:
    try:
        picture = picture_address(path)
    except OSError:
        picture = ""
    return {"id": id, "text": f"{words} {isolated(path.name)}", "picture": picture}


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
    """Return a weight as far as a chip goes; 0 for what is none."""
    weight = float(text) if _NUMBER.fullmatch(text) else 0.0
    return math.copysign(min(max(abs(weight), 0.1), 10), weight) if weight else 0.0


def suggestions(labels: Sequence[str]) -> list[str]:
    """Return texts to begin with: a few of a collection's labels, or general ones without any."""
    named = [label.replace("_", " ").strip() for label in labels]
    named = [text for text in named if any(map(str.isalpha, text))] or list(_GENERAL)
    return named[:: max(1, len(named) // _TRIES)][:_TRIES]
