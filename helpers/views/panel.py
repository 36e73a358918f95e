"""`SearchPanel`: a search box with pictures: a form of ipywidgets, and below it `Photos`.

It only asks (see `asked`) and shows; what a question means is decided there.
"""

import hashlib
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import ipywidgets as widgets
from IPython import get_ipython

from ..collection.store import MAX_LIMIT, ImageStore
from ..encoding import Encoder
from ..evaluation.judgements import judged_csv
from ..images.gallery import as_html, in_order, isolated, shortened
from ..images.pictures import load_image
from ..query.results import Hit, SearchResults
from ..retrieval import known_labels
from ..settings import resolve_path
from .asked import TEXTS, Asked, suggestions
from .photos import Does, Photos

_LONGEST = 80  # characters of a query, where it is said again
_PATH = r"(?<![\w.])([A-Za-z]:|~\w*|\.+)?[\\/]+[\w.~$]|\w[\\/][\w./\\-]*\.[A-Za-z]"
_MORE = 100  # photos asked for when the first ones have been looked at
_CLASSES = {False: ["search-panel"], True: ["search-panel", "numbers"]}  # show numbers?
_GROWS = {"flex": "1 1 120px", "width": "auto", "min_width": "0"}
_ROW = {"flex_flow": "row wrap", "align_items": "center", "grid_gap": "2px 8px"}


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
        An image to be like; a cell may set it, and `literal`, `labels`, `judged`, see `Asked`.
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
        self._uploads = Path(upload_dir or resolve_path("runs") / "uploads")
        self._pieces = bytearray()  # of an upload
        self._past: list[Asked] = []
        self._at = -1  # the place in it of the question that is shown
        self._shown = Asked()
        self.found: SearchResults | None = None
        self.form = Form([*map(in_order, store.labels())], limit, visitors)
        self.query, self.button, self.limit = self.form.query, self.form.button, self.form.limit
        self.message, self.code = widgets.HTML(), widgets.HTML()
        self.results = Photos(self._answers(), self._try, visitors)
        shown = [self.form.widget, self.message, self.results, *([] if visitors else [self.code])]
        self.widget = widgets.VBox(shown)
        widgets.dlink((self.form.numbers, "value"), (self.widget, "_dom_classes"), _CLASSES.get)
        asked = Asked.at(address, store.image_dir, self._meant)
        first = Asked(query_text) if query_text else Asked.plainly(next(iter(self.form.tries), ""))
        self.asked = first if asked == Asked() else asked
        self._listen(self.form)
        if self.asked != Asked():
            self.show_results()
        if visitors and (shell := get_ipython()):  # else widgets show tracebacks in the page
            shell.showtraceback = lambda *_, **__: self.results.log.exception("not heard:")

    def _listen(self, form: "Form") -> None:
        """Do something when a box changes or a button is clicked."""
        for box in (*form.fields.values(), form.limit):
            box.observe(self.show_results, names="value")
        form.label.observe(partial(self._try, self._take_label), names="value")
        does: dict[widgets.Button, Does] = {form.button: self.show_results, form.save: self._save}
        does |= {form.back: partial(self._step, -1), form.forward: partial(self._step, 1)}
        does |= {form.save_thumbs: self._save_thumbs}
        does |= {button: partial(self._suggest, text) for text, button in form.tries.items()}
        if not self._visitors:  # whose page knows the models of all widgets, shown or not
            does |= {form.paths: self._paths, form.copy: self._copy}
        for button, do in does.items():
            button.on_click(partial(self._try, do))

    @property
    def asked(self) -> Asked:
        """All that is set; a cell may set it to another question."""
        image = resolve_path(self.image, self._store.image_dir) if self.image else None
        said = {name: box.value for name, box in self.form.fields.items()}
        said |= {name: in_order(said[name]).strip() for name in TEXTS}
        said |= {"literal": tuple(self.literal), "labels": tuple(self.labels)}
        return Asked(query_image=image, judged=dict(self.judged), **said)

    @asked.setter
    def asked(self, asked: Asked) -> None:
        self._settling = True
        for name, box in self.form.fields.items():
            box.value = getattr(asked, name)
        self._settling = False
        self.image, self.judged = asked.query_image, dict(asked.judged)
        self.labels, self.literal = asked.labels, asked.literal
        self._show_chips()

    @property
    def parameters(self) -> dict[str, object]:
        """What is asked, as parameters of 03_search for papermill."""
        store = self._store
        where = {"milvus_uri": store.shown_uri, "collection_name": store.collection_name}
        how = {"limit": self._number(), "model_name": self._encoder.model_name}
        return self.asked.parameters(store.image_dir) | how | where

    def _number(self) -> int:
        """Return how many photos to show at first; `search` refuses what is not whole."""
        number = self.limit.value
        return number if number % 1 or abs(number) > 1e9 else int(number)

    def show_results(self, _event: object = None) -> None:
        """Search for what the parts say and show the pictures, or the error."""
        if self._settling:
            return
        # A phrase in which nothing would be read is forgotten, as when others were typed since.
        self.literal = tuple(sorted({part.typed for part in self.asked.parts if not part.on}))
        asked = self.asked
        gone = [path for path in (asked.query_image, *asked.judged) if path and not path.is_file()]
        if gone:  # else they would be in the way of all that follows
            image = None if asked.query_image in gone else asked.query_image
            self.asked = replace(asked.weighing(dict.fromkeys(gone, 0.0)), query_image=image)
        self._show_chips()
        self.results.busy = True
        try:
            self._try(self._search)
        finally:
            self.results.busy = False
        self._try(self.results.finish)
        if gone:
            self._say(_gone(gone[0]), failed=True)

    def _search(self) -> None:
        asked = self.asked
        with warnings.catch_warnings(record=True, action="always") as caught:
            found = asked.search(self._encoder, self._store, limit=self._number())
        with self.results.hold_sync():
            self._show(asked, found)
        for warning in caught:
            if warning.category is UserWarning:  # a text is too long
                self._say(str(warning.message))

    def _show(self, asked: Asked, found: SearchResults) -> None:
        if self._past[self._at : self._at + 1] != [asked]:
            self._at += 1
            self._past[self._at :] = [asked]
        self.form.back.disabled = not self._at
        self.form.forward.disabled = self._past[self._at + 1 :] == []
        self.found, self._shown = found, asked
        title, spent = isolated(shortened(found.question.title, _LONGEST)), found.milliseconds
        self.results.status = f"{title}: {found.counted} in {spent['total']:.0f} ms"
        self.results.said = f"{title}: {found.counted}. {found.verdict}"
        self.results.show(found, len(found) == self.limit.value < MAX_LIMIT)
        self.results.address = asked.address(self._store.image_dir)
        if not self._visitors:
            shares = f"query {spent['encoding']:.0f}, Milvus {spent['searching']:.0f}"
            self.results.status += f" ({shares})"
            self._show_lines(asked, found)
        self._say(found.note or (found.verdict if found.matches is False else "") or found.way)

    def _answers(self) -> dict[str, Does]:
        """Return what to do for each message of the pictures."""
        does = dict[str, Does](more=self._ask_more, like=self._more_like, enter=self._enter)
        does |= {"judge": self._judge, "weigh": self._weigh, "drop": self._drop}
        return does | {"visit": self._visit, "upload": self._take_upload, "say": self._say}

    def _enter(self) -> None:
        if self.asked != self._shown:
            self.show_results()

    def _ask(self, asked: Asked) -> None:
        self.asked = asked
        self.show_results()

    def _try(self, does: Does, _button: object = None) -> None:
        try:
            does()
        except Exception as error:  # anything that happens must be seen: widgets swallow errors
            text = re.sub(r"^\[\w+ \d+\] ", "", str(error))  # the system's number for it
            text = re.sub("^limit(?= is| must)", "the number of photos at first", text)
            self._say(text or type(error).__name__, failed=True)

    def _show_chips(self) -> None:
        self.results.chips = self.asked.chips()
        self.form.save_thumbs.disabled = not self.judged
        self.results.judge(self.judged)

    def _show_lines(self, asked: Asked, found: SearchResults) -> None:
        lines = found.code, asked.papermill(self.parameters)
        style = "user-select:all;white-space:pre-wrap;font-size:11px"
        code = "<br>".join(f"<code style='{style}'>{as_html(line)}</code>" for line in lines)
        self.code.value = f"<details><summary>The same as code</summary>{code}</details>"

    def _ask_more(self, first: int) -> None:
        """Show what follows the first ones; another page may have asked for it before."""
        hits, last = self.results.hits, min(first + _MORE, MAX_LIMIT)
        if len(hits) < last:
            page = {"limit": last - len(hits), "offset": len(hits)}
            more = self._shown.search(self._encoder, self._store, **page)
            hits = [*hits, *more]
            if more.note:
                self._say(more.note)
        self.results.add(self._results(hits[first:last]), first, len(hits) >= last < MAX_LIMIT)

    def _more_like(self, place: int) -> None:
        path = self.results.hits[place].path
        if not path.is_file():
            raise OSError(_gone(path))
        self._ask(Asked(query_image=path))

    def _judge(self, place: int, sign: int) -> None:
        path = self.results.hits[place].path
        again = self.judged.get(path, 0) * sign > 0
        self.asked = self.asked.weighing({path: 0 if again else sign})
        self.results.status = "Search again to use your thumbs" if self.judged else ""

    def _weigh(self, id: str, weight: int | float) -> None:
        self.asked = self.asked.weighed(id, weight)

    def _drop(self, id: str) -> None:
        self._ask(self.asked.without(id))

    def _step(self, by: int) -> None:
        self._at = min(max(self._at + by, 0), len(self._past) - 1)
        self._ask(self._past[self._at])

    def _visit(self, address: str) -> None:
        asked = Asked.at(address, self._store.image_dir, self._meant)
        self._ask(self._past[0] if self._past and asked == Asked() else asked)

    def _results(self, hits: Sequence[Hit]) -> SearchResults:
        """Return the results with these hits alone."""
        if not self.found:
            raise ValueError("there are no photos yet: search first")
        return replace(self.found, hits=tuple(hits))

    def _save(self) -> None:
        text = self._results(self.results.hits).csv(self.results.chosen or None)
        self.results.send({"csv": "photos.csv", "text": text})

    def _paths(self) -> None:
        paths = [str(hit.path) for hit in self._results(self.results.picked())]
        self.results.send({"copy": "\n".join(paths)})

    def _save_thumbs(self) -> None:
        words = self.asked.query_text or "photos like these"
        folder = self._store.image_dir or Path()
        signs = {path: weight > 0 for path, weight in self.judged.items()}
        self.results.send({"csv": "judged.csv", "text": judged_csv(words, signs, folder)})

    def _copy(self) -> None:
        folder = resolve_path(self.form.folder.value.strip() or "runs/photos")
        number = len({*self._results(self.results.picked()).copy_to(folder)})
        photos = "1 photo is" if number == 1 else f"{number:,} photos are"
        self._say(f"{photos} in {isolated(str(folder))}")

    def _suggest(self, text: str) -> None:
        self._ask(replace(self.asked, query_text=text, literal=Asked.plainly(text).literal))

    def _take_label(self) -> None:
        if not (typed := self.form.label.value.strip()):
            return
        if not (meant := self._meant(typed)):
            raise ValueError(f"no photo has the label {isolated(repr(typed))}")
        self.form.label.value = ""
        self.labels = tuple(dict.fromkeys((*self.labels, *meant)))
        self._enter()

    def _meant(self, typed: str) -> list[str]:
        return known_labels(typed, self._store.labels())

    def _take_upload(self, name: str, first: bool, last: bool, content: memoryview) -> None:
        """Take a piece of an image: a message to Jupyter holds 10 MB at most, an image may more."""
        self._pieces = bytearray() if first else self._pieces
        self._pieces += content
        if last:
            self.image = _kept(name, bytes(self._pieces), self._uploads)
            self.show_results()

    def _say(self, text: str, failed: bool = False) -> None:
        if self._visitors and self._tells_paths(text):
            self.results.log.error(in_order(text), exc_info=failed)
            text = "this did not work; whoever runs the app can read why in its terminal"
        colour = "#c62828" if failed else "#9a6700"
        style = f"display:block;border-left:4px solid {colour};padding-left:8px"
        self.message.value = f"<span style='{style}'>{as_html(text)}</span>" if text else ""
        self.results.said = text or self.results.said

    def _tells_paths(self, text: str) -> bool:
        """Return whether there is a path in a text, other than in words of the visitor's own."""
        typed = [*self.labels, self.form.label.value.strip(), *map(vars(self.asked).get, TEXTS)]
        words = "|".join(re.escape(each) for each in sorted(typed, key=len, reverse=True))
        plain = text.replace("\\\\", "\\")  # as repr has it
        return bool(re.search(_PATH, re.sub(rf"(?<![\w./\\:~-])({words})(?![\w./\\-])", "", plain)))

    def _repr_mimebundle_(self, **options: object) -> dict:
        """Show the widget; where there are none, as in a page, at least the pictures."""
        shown = self.widget._repr_mimebundle_(**options)
        if self.found:
            shown["text/html"] = self._results(self.found[:10]).to_html()
        return shown


class Form:
    """The boxes and buttons, each an ipywidget; those of `TEXTS` have the names of their fields.

    `fields` are those that are part of a question, `tries` the buttons of texts to begin with.
    """

    def __init__(self, labels: list[str], limit: int, visitors: bool) -> None:
        self.back = _button("", "The question before", icon="chevron-left", disabled=True)
        self.forward = _button("", "The next question", icon="chevron-right", disabled=True)
        self.button = _button("Search", "", icon="search", button_style="primary")
        self.options = widgets.ToggleButton(description="options", icon="sliders")
        self.label = _text("label", "one of the labels", widgets.Combobox, options=labels)
        orders = [("best first", ""), ("newest first", "taken")]
        self.sort_by = widgets.Dropdown(description="order", options=orders)
        self.limit = widgets.FloatText(limit, description="at first")  # IntText drops the point
        self.templates = widgets.Checkbox(description="several phrasings", indent=False)
        self.numbers = widgets.Checkbox(description="show numbers", indent=False)
        self.save = _button("save as CSV", "The chosen photos, or all, with their facts")
        self.save_thumbs = _button("save thumbs", "As a CSV file, which notebooks 6 and 7 read")
        self.paths = _button("copy paths", "Where the chosen photos are, or all")
        self.folder = _text("copy into", "a folder: the chosen photos, or all")
        self.copy = _button("Copy", "No file is written over")
        texts = {name: _text(*typed["box"]) for name, typed in TEXTS.items()}
        vars(self).update(texts)
        suggested = suggestions(labels) if visitors else []
        self.tries = {text: _button(text, f"Search for {isolated(text)}") for text in suggested}
        self.fields = texts | {"sort_by": self.sort_by, "templates": self.templates}
        self.query, unlike, *narrowing = texts.values()  # in the order of `Asked`

        chosen = [self.sort_by, self.limit, self.templates, self.numbers]
        for part in (self.options, *chosen):
            part.layout.width = part.style.description_width = "auto"
        self.limit.layout.width = "130px"
        own = [] if visitors else [self.paths, self.folder, self.copy]
        rows = [[self.back, self.forward, self.query, self.button, self.options]]
        rows += [[widgets.Label("Try"), *self.tries.values()]] if suggested else []
        rows += [[unlike, self.label, *narrowing, *chosen, self.save, self.save_thumbs, *own]]
        self.widget = widgets.VBox([widgets.Box(row, layout=_ROW) for row in rows])
        unfolded = self.widget.children[-1].layout, "display"
        widgets.dlink((self.options, "value"), unfolded, {True: "flex", False: "none"}.get)


def _button(label: str, hint: str, **more: object) -> widgets.Button:
    return widgets.Button(description=label, tooltip=hint, layout={"width": "auto"}, **more)


def _text(label: str, hint: str, kind: type = widgets.Text, **more: object) -> widgets.Text:
    more |= {"style": {"description_width": "auto"}, "layout": _GROWS, "continuous_update": False}
    return kind(description=label, placeholder=hint, **more)


def _kept(name: str, content: bytes, folder: Path) -> Path:
    """Keep an image that was uploaded; OSError if it is none."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.blake2b(content, digest_size=4).hexdigest()
    path = folder / f"{digest}-{re.sub(r'[^A-Za-z0-9._-]', '_', name)[-60:]}"
    path.write_bytes(content)
    try:
        load_image(path)
    except OSError as error:
        path.unlink()
        raise OSError(str(error).replace(str(path), isolated(name))) from error
    return path


def _gone(path: Path) -> str:
    return f"{isolated(path.name)} is gone: the file was moved or deleted"
