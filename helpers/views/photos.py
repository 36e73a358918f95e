"""`Photos`: the photos of a search as a widget, whose face is `photos.js`.

It sends thumbnails and photos when they come into sight. What a click on them means is the panel's.
What no page of ours would send is logged and has no effect.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from inspect import signature
from operator import index
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from ..batches import batches
from ..images.gallery import WIDEST, as_address, isolated, whole_jpeg
from ..query.results import Hit, SearchResults

_FIRST = 24  # thumbnails that come with a search, and that a saved notebook keeps
_AT_ONCE = 8  # of them, where they take their time
_SOON = 0.1  # seconds that photos wait for their thumbnails
_HEIGHTS = (256, 512)  # pixels of a thumbnail, as `photos.js` asks for them; others are not kept
_LARGE = 1600  # pixels high: a photo that fills the window
_NARROWEST = 0.25  # a tile's width by its height
Does = Callable[..., None]
_GONE = {
    False: "The kernel does not answer: it is busy, or gone. "
    "If it is gone, run the cells from the top to search again.",
    True: "The server does not answer. Reload the page to go on.",
}


class Photos(anywidget.AnyWidget):
    """Photos in rows, chips above them, and one photo large; the page asks for more by messages.

    Attributes
    ----------
    photos : list of dict
        What is to be seen of the first photos, see `described`.
    chips : list of dict
        What was read, and what narrows the search: see `Asked.chips`.
    number : int
        Counts the searches, so that a late answer to an older one is not taken for a new one's.
    more : bool
        Whether there are more photos than `photos` to ask for.
    chosen : list of int
        The places of the photos that are chosen, to be taken away.
    judged : dict
        From the places of photos, as text, to their weights, see `Asked`.
    status, said : str
        A line above the photos, and what a screen reader says.
    busy, visitors : bool
        `visitors` are not told where files are.
    address : str
        The question as part of a page's address.
    first : list of str
        Addresses that hold the first thumbnails, `height` pixels high: empty if a photo cannot be
        read, and None if it takes longer.
    gone : str
        What the page says if nobody answers.
    """

    _esm = Path(__file__).with_name("photos.js")
    _css = Path(__file__).with_name("photos.css")

    photos = traitlets.List(traitlets.Dict()).tag(sync=True)
    chips = traitlets.List(traitlets.Dict()).tag(sync=True)
    number = traitlets.Int(0).tag(sync=True)
    more = traitlets.Bool(False).tag(sync=True)
    chosen = traitlets.List(traitlets.Int()).tag(sync=True)
    judged = traitlets.Dict().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
    visitors = traitlets.Bool(False).tag(sync=True)
    address = traitlets.Unicode().tag(sync=True)
    first: traitlets.List = traitlets.List().tag(sync=True)
    height = traitlets.Int(_HEIGHTS[0]).tag(sync=True)
    gone = traitlets.Unicode().tag(sync=True)

    def __init__(self, answers: Mapping[str, Does], attempt: Does, visitors: bool = False) -> None:
        """Take what to do for each `ask` of a message, which gets the rest of it by name.

        `attempt` does it, and shows what fails.
        """
        super().__init__(visitors=visitors, gone=_GONE[visitors])
        self._answers: dict[str, Does] = {**answers, "choose": self._choose, "ping": lambda: None}
        self._answers |= {"thumbs": self._send_thumbs, "photo": self._send_photo}
        self._attempt = attempt
        self._wanted = _HEIGHTS[0]  # for the next thumbnails; `height` is that of `first`
        self.hits: list[Hit] = []  # all that are shown, those of `photos` and more
        self._judged: Mapping[Path, float] = {}
        self._drawn: list[Future[str]] = []
        self._pool = ThreadPoolExecutor(os.cpu_count())
        self.on_msg(self._hear)

    def show(self, found: SearchResults, more: bool) -> None:
        """Show the photos of a new search instead of those that are there."""
        self.hits = list(found)
        for late in self._drawn:
            late.cancel()
        first = [hit.path for hit in found[:_FIRST]]
        self._drawn = [self._pool.submit(_address, path, self._wanted) for path in first]
        photos = [described(hit, found, self.visitors) for hit in found]
        wait(self._drawn, _SOON)
        with self.hold_sync():
            self.number += 1
            self.more, self.photos, self.chosen = more, photos, []
            self.judge(self._judged)
            self.first, self.height = self._there(), self._wanted

    def finish(self) -> None:
        """Send the first thumbnails that came later than the photos."""
        for some in batches(self._drawn, _AT_ONCE):
            wait(some)
            self.first = self._there()

    def _there(self) -> list[str | None]:
        return [drawn.result() if drawn.done() else None for drawn in self._drawn]

    def add(self, found: SearchResults, first: int, more: bool) -> None:
        """Show more photos from a place on, on a page that has all before it."""
        self.hits[first : first + len(found)] = found
        self.judge(self._judged)
        photos = [described(hit, found, self.visitors) for hit in found]
        self.send({"add": photos, "first": first, "more": more, "number": self.number})

    def judge(self, judged: Mapping[Path, float]) -> None:
        """Mark what is judged, on the photos that are shown and on all that follow."""
        self._judged = judged
        places = {hit.path: str(place) for place, hit in enumerate(self.hits)}
        self.judged = {places[path]: each for path, each in judged.items() if path in places}

    def picked(self) -> list[Hit]:
        """Return the hits of the photos that are chosen, or of all."""
        return [self.hits[place] for place in self.chosen] or self.hits

    def set_state(self, sync_data: dict) -> None:
        """Take no trait from a page, as ours only asks."""
        self.log.warning("not heard: %.300r", sync_data)

    def _hear(self, _widget: object, content: Any, buffers: Sequence[memoryview]) -> None:
        """Do what the page asks for; whatever goes wrong is seen there.

        A visitor can send anything: what `photos.js` does not ask is only logged.
        """
        try:
            asked = {**content, "content": buffers[0]} if buffers else {**content}
            if asked.pop("number", self.number) != self.number:
                return  # it is about photos that are gone
            self._check(does := self._answers[name := asked.pop("ask")], asked)
        except (LookupError, TypeError):
            self.log.warning("not heard: %.300r", content)
        else:
            self._attempt(lambda: does(**asked))
            self.send({"done": name})

    def _check(self, does: Does, asked: Mapping[str, Any]) -> None:
        """Raise TypeError unless the page sends what one asks of its photos and chips."""
        kinds = signature(does).bind(**asked).signature.parameters
        there, ids = range(len(self.hits)), [chip["id"] for chip in self.chips]
        known = {"place": there, "first": range(len(there) + 2), "sign": (-1, 1), "id": ids}
        typed = all(isinstance(value, kinds[name].annotation) for name, value in asked.items())
        is_there = all(asked[name] in known[name] for name in known.keys() & asked.keys())
        places, weight = {*map(index, asked.get("places", ()))}, asked.get("weight", 1)
        if not (typed and is_there and places <= {*there} and 0.1 <= weight <= 10):
            raise TypeError

    def _choose(self, places: list) -> None:
        """Choose photos, or no longer if they were chosen."""
        self.chosen = sorted({*self.chosen} ^ {*places})

    def _send_thumbs(self, places: list, height: int) -> None:
        height = self._wanted = min(max(height, 1), _HEIGHTS[-1])
        drawn = self._pool.map(lambda place: _address(self.hits[place].path, height), places)
        thumbs = dict(zip(map(str, places), drawn, strict=True))
        self.send({"thumbs": thumbs, "number": self.number})

    def _send_photo(self, place: int) -> None:
        address = _address(self.hits[place].path, _LARGE)
        self.send({"photo": place, "address": address, "number": self.number})


def described(hit: Hit, found: SearchResults, visitors: bool = False) -> dict[str, Any]:
    """Return what a page shows of a photo; `visitors` are not told where it is."""
    name, label = isolated(Path(hit.filepath).name), isolated(hit.label)
    ratio = hit.width / hit.height if hit.width and hit.height else 1.0
    place = None if hit.latitude is None else f"{hit.latitude:.4f}, {hit.longitude:.4f}"
    size = f"{hit.width:,} x {hit.height:,}" if hit.width else ""
    taken = hit.taken and f"{hit.taken.day} {hit.taken:%B %Y, %H:%M}"
    copies = ", ".join(isolated(Path(other).name) for other in hit.alike)
    path = "" if visitors else str(hit.path)
    facts = {"label": label, "taken": taken, "camera": isolated(hit.camera), "size": size}
    facts |= {"latitude, longitude": place, "copies": copies, "match": found.explained(hit)}
    facts |= {"path": re.sub(r"[^/\\]+", lambda part: isolated(part[0]), path)}
    shown: dict[str, Any] = {"name": name, "path": path, "numbers": hit.caption.splitlines()[0]}
    shown |= {"alt": f"{label}: {name}" if label else name}
    shown |= {"date": hit.taken and f"{hit.taken:%Y-%m-%d}"}
    shown |= {"ratio": round(min(max(ratio, _NARROWEST), WIDEST), 3)}
    return shown | {"facts": {name: fact for name, fact in facts.items() if fact}}


def _address(path: Path, height: int) -> str:
    """Return an address that holds a photo, or nothing if it cannot be read.

    A page draws it sooner than bytes, which a browser makes known to its other processes first.
    """
    try:
        return as_address(whole_jpeg(path, height, keep=height in _HEIGHTS))
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return ""
