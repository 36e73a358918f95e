"""`SearchPanel`: a search box with pictures: a form of ipywidgets, and below it `Photos`.

It only asks (`retrieval`) and shows; what a question means is decided there.
"""

import html
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from ..collection.store import MAX_LIMIT, ImageStore
from ..encoding import Encoder
from ..evaluation.judgements import judged_csv
from ..images.gallery import shortened
from ..query.results import Hit, SearchResults
from ..settings import resolve_path
from .asked import Asked, History, suggestions
from .form import Form
from .photos import Photos
from .transfers import Uploads, copy_photos

_IN_A_PAGE = 10
_LONGEST = 80  # characters of a query, where it is said again
_PATH = re.compile(r"(?<![\w.])(/|[A-Za-z]:\\)\w")
_MORE = 100  # photos asked for when the first ones have been looked at


class SearchPanel:
    """A search box, what narrows the search, and the pictures found.

    Enter in a box, or a click on the button, searches. An error is shown in `message`; the
    pictures stay until new ones are there.

    Parameters
    ----------
    encoder : ClipEncoder
    store : ImageStore
    limit : int
        How many images to show at first; more come when one scrolls down.
    query_text : str
        What stands in the box at first; not blank: it is searched at once.
    upload_dir : path, optional
        Where uploaded images are kept, so that their search can be run again; `runs/uploads`
        where none is given.
    visitors : bool
        Whether others look at this who shall not see where files are, nor copy them. They begin
        with a few suggestions.
    address : str
        A question as the end of a page's address (see `Asked`); it is asked at once.

    Attributes
    ----------
    query, button, limit, message, results
        The parts, each a widget; a cell may set their values and call `button.click()`. The other
        boxes are those of `form`.
    image : Path or None
        An image to be like; a cell may set it, and `labels` and `judged`, see `Asked`.
    found : SearchResults or None
        What the pictures show at first.
    widget
        The whole, which a notebook shows.
    """

    def __init__(
        self,
        encoder: Encoder,
        store: ImageStore,
        limit: int = 50,
        query_text: str = "",
        upload_dir: str | os.PathLike | None = None,
        visitors: bool = False,
        address: str = "",
    ) -> None:
        self._encoder, self._store, self._visitors = encoder, store, visitors
        self._uploads = Uploads(Path(upload_dir or resolve_path("runs") / "uploads"))
        self._settling = False
        self._history = History()
        self._hits: list[Hit] = []
        self._shown, self._is_more = Asked(), False
        self.image: Path | None = None
        self.labels: tuple[str, ...] = ()
        self.judged: dict[Path, float] = {}
        self.found: SearchResults | None = None
        labels = store.labels()
        suggested = suggestions(labels) if visitors else []
        query_text = query_text or "".join(suggested[:1])
        self.form = Form(labels, limit, query_text, visitors, suggested)
        self.message, self.code = widgets.HTML(), widgets.HTML()
        self.results = Photos(self._answers(), self._fail, visitors)
        shown = [self.form.widget, self.message, self.results, *([] if visitors else [self.code])]
        self.widget = widgets.VBox(shown)
        self.widget.add_class("search-panel")
        self.form.on_change(self.show_results)
        self.form.label.observe(self._take_label, names="value")
        self.form.numbers.observe(self._show_numbers, names="value")
        for button, does in self._buttons().items():
            button.on_click(partial(self._try, does))
        asked = Asked.at(address, store.image_dir)
        if asked != Asked():
            self.asked = asked
        if self.asked != Asked():
            self.show_results()

    query = property(lambda self: self.form.query)
    button = property(lambda self: self.form.button)
    limit = property(lambda self: self.form.limit)

    @property
    def asked(self) -> Asked:
        """All that is set; a cell may set it to another question."""
        image = resolve_path(self.image, self._store.image_dir) if self.image else None
        judged, labels = dict(self.judged), tuple(self.labels)
        return Asked(query_image=image, labels=labels, judged=judged, **self.form.values)

    @asked.setter
    def asked(self, asked: Asked) -> None:
        self._settling = True
        self.form.fill(asked)
        self._settling = False
        self.image, self.labels, self.judged = asked.query_image, asked.labels, dict(asked.judged)

    @property
    def parameters(self) -> dict[str, Any]:
        """What is asked, as parameters of 03_search for papermill."""
        return self.asked.parameters(self._store.image_dir) | {
            "limit": self.limit.value,
            "model_name": self._encoder.model_name,
            "milvus_uri": self._store.shown_uri,
            "collection_name": self._store.collection_name,
        }

    def show_results(self, _event: object = None) -> None:
        """Search for what the parts say and show the pictures, or the error."""
        if self._settling:
            return
        asked = self.asked
        gone = [path for path in (asked.query_image, *asked.judged) if path and not path.is_file()]
        if gone:  # else it would be in the way of all that follows
            image = None if asked.query_image in gone else asked.query_image
            judged = {path: each for path, each in asked.judged.items() if path not in gone}
            self.asked = asked = replace(asked, query_image=image, judged=judged)
            if not (asked.query_text or asked.unlike or image or judged):
                self._show_chips()
                self._say(_gone(gone[0]), failed=True)
                return
        self._show_chips()
        self.results.busy = True
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                found = asked.search(self._encoder, self._store, self.limit.value)
            with self.results.hold_sync():
                self._show(asked, found)
                self.results.busy = False
            self.results.finish()
            if gone:
                self._say(_gone(gone[0]), failed=True)
            if too_long := [str(w.message) for w in caught if w.category is UserWarning]:
                self._say(too_long[0])
        except Exception as error:  # anything that happens must be seen: widgets swallow errors
            self._fail(error)
        finally:
            self.results.busy = False

    def _show(self, asked: Asked, found: SearchResults) -> None:
        self._history.add(asked)
        self.found, self._hits, self._shown = found, list(found), asked
        self._is_more = len(found) == self.limit.value < MAX_LIMIT
        self.form.back.disabled = self._history.is_first
        self.form.forward.disabled = self._history.is_last
        spent = found.milliseconds
        shares = f" (query {spent['encoding']:.0f}, Milvus {spent['searching']:.0f})"
        line = f"{found.counted} in {spent['total']:.0f} ms{'' if self._visitors else shares}"
        title = shortened(found.question.title, _LONGEST)
        self.results.status = f"{title}: {line}"
        self.results.said = f"{title}: {found.counted}. {found.verdict}"
        self.results.show(found, self._is_more)
        self.results.address = asked.address(self._store.image_dir)
        if not self._visitors:
            self._show_lines(asked, found)
        self._say(found.note or (found.verdict if found.matches is False else ""))

    def _answers(self) -> dict[str, Callable[..., None]]:
        """Return what to do for each message of the pictures."""
        return {
            "more": self._ask_more,
            "like": self._more_like,
            "judge": self._judge,
            "weigh": self._weigh,
            "enter": lambda: None if self.asked == self._shown else self.show_results(),
            "drop": self._drop,
            "visit": self._visit,
            "upload": self._take_upload,
            "say": self._say,
        }

    def _buttons(self) -> dict[widgets.Button, Callable[[], None]]:
        """Return what the buttons beside Search do."""
        form = self.form
        does: dict[widgets.Button, Callable[[], None]]
        does = {form.back: partial(self._step, -1), form.forward: partial(self._step, 1)}
        does |= {form.save: self._save, form.save_thumbs: self._save_thumbs}
        # A visitor's page knows the models of all widgets, even of those not shown.
        return does if self._visitors else does | {form.paths: self._paths, form.copy: self._copy}

    def _try(self, does: Callable[[], None], _button: object) -> None:
        try:
            does()
        except Exception as error:  # anything that happens must be seen: widgets swallow errors
            self._fail(error)

    def _show_chips(self) -> None:
        self.results.chips = self.asked.chips()
        self.form.save_thumbs.disabled = not self.judged
        self.results.judge(self.judged)

    def _show_lines(self, asked: Asked, found: SearchResults) -> None:
        lines = found.code, asked.papermill(self.parameters)
        style = "user-select:all;white-space:pre-wrap;font-size:11px"
        code = "<br>".join(f"<code style='{style}'>{html.escape(line)}</code>" for line in lines)
        self.code.value = f"<details><summary>The same as code</summary>{code}</details>"

    def _ask_more(self, first: int) -> None:
        """Show what follows the first ones; another page may have asked for it before."""
        last = min(first + _MORE, MAX_LIMIT)
        lacking = last - len(self._hits)
        if self._is_more and lacking > 0:
            page = self._shown.search(self._encoder, self._store, lacking, len(self._hits))
            self._hits += page
            self._is_more = len(page) == lacking and last < MAX_LIMIT
        hits = range(first, min(last, len(self._hits)))
        more = self._is_more or len(self._hits) > last
        self.results.add(self._taken(hits), first, more)

    def _more_like(self, place: int) -> None:
        path = self._hits[place].path
        if not path.is_file():
            raise OSError(_gone(path))
        self.asked = Asked(query_image=path)
        self.show_results()

    def _judge(self, place: int, sign: int) -> None:
        path = self._hits[place].path
        again = self.judged.get(path, 0) * sign > 0
        self.judged = dict(self.asked.weighing(path, 0 if again else sign).judged)
        self._show_chips()
        self.results.status = "Search again to use your thumbs" if self.judged else ""

    def _weigh(self, id: str, weight: float) -> None:
        self.judged = dict(self.asked.weighed(id, weight).judged)
        self._show_chips()

    def _drop(self, id: str) -> None:
        self.asked = self.asked.without(id)
        self.show_results()

    def _step(self, by: int) -> None:
        self.asked = self._history.step(by)
        self.show_results()

    def _visit(self, address: str) -> None:
        asked = Asked.at(address, self._store.image_dir)
        self.asked = self._history.first if asked == Asked() else asked
        self.show_results()

    def _places(self) -> list[int]:
        """Return the places of what is taken away: of the chosen photos, or of all."""
        return self.results.chosen or list(range(len(self._hits)))

    def _taken(self, places: Sequence[int]) -> SearchResults:
        """Return these results alone."""
        if not self.found:
            raise ValueError("there are no photos yet: search first")
        return replace(self.found, hits=tuple(self._hits[place] for place in places))

    def _show_numbers(self, _change: object) -> None:
        change = self.widget.add_class if self.form.numbers.value else self.widget.remove_class
        change("numbers")

    def _save(self) -> None:
        text = self._taken(range(len(self._hits))).csv(self._places())
        self.results.send({"csv": "photos.csv", "text": text})

    def _paths(self) -> None:
        paths = [str(hit.path) for hit in self._taken(self._places())]
        self.results.send({"copy": "\n".join(paths)})

    def _save_thumbs(self) -> None:
        words = self.asked.query_text or "photos like these"
        folder = self._store.image_dir or Path()
        signs = {path: weight > 0 for path, weight in self.judged.items()}
        self.results.send({"csv": "judged.csv", "text": judged_csv(words, signs, folder)})

    def _copy(self) -> None:
        folder = resolve_path(self.form.folder.value.strip() or "runs/photos")
        self._say(copy_photos(self._taken(self._places()), folder))

    def _take_label(self, _change: object) -> None:
        label = self.form.label.value.strip()
        if label in self.form.label.options and label not in self.labels:
            self.labels = (*self.labels, label)
            self.form.label.value = ""
            self.show_results()
        elif label in self.labels:
            self.form.label.value = ""
        elif label and not self._settling:
            self._say(f"no photo has the label {label!r}", failed=True)

    def _take_upload(self, name: str, first: bool, last: bool, content: memoryview) -> None:
        if image := self._uploads.take(name, first, last, content):
            self.image = image
            self.show_results()

    def _fail(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        if self._visitors and _PATH.search(text):
            traceback.print_exception(error, file=sys.__stderr__)  # the terminal, not the page
            text = "this did not work; whoever runs the app can read why in its terminal"
        self._say(text, failed=True)

    def _say(self, text: str, failed: bool = False) -> None:
        colour = "#c62828" if failed else "#9a6700"
        style = f"display:block;border-left:4px solid {colour};padding-left:8px"
        self.message.value = f"<span style='{style}'>{html.escape(text)}</span>" if text else ""
        if text:
            self.results.said = text

    def _repr_mimebundle_(self, **options: object) -> dict:
        """Show the widget; where there are none, as in a page, at least the pictures."""
        if not self.found:
            return self.widget._repr_mimebundle_(**options)
        first = replace(self.found, hits=self.found.hits[:_IN_A_PAGE])
        shown = {"text/html": first.to_html()}
        return self.widget._repr_mimebundle_(**options) | shown


def _gone(path: Path) -> str:
    return f"{path.name} is gone: the file was moved or deleted"
