"""`SearchPanel`: a search box with pictures, made of ipywidgets.

It only asks (`retrieval`) and shows; what a question means is decided there.
"""

import functools
import hashlib
import html
import json
import os
import re
import shlex
import time
import warnings
from pathlib import Path

import ipywidgets as widgets

from ..collection.store import ImageStore
from ..images.gallery import tile_html
from ..images.pictures import load_image
from ..models.encoder import ClipEncoder
from ..paths import resolve_path
from ..query.queries import TEMPLATES, Query
from ..query.results import SearchResults
from ..retrieval import search

__all__ = ["SearchPanel"]

_WIDTH = "170px"
# Opened again without its kernel, one sign of a broken link is enough; Jupyter draws one a part.
_STYLE = "<style>.search-panel .jupyter-widgets-disconnected::before {display: none}</style>"


class SearchPanel:
    """A search box, what narrows the search, and the pictures found.

    Enter in a box, or a click on the button, searches. Text, image and "less like" combine to one
    `Query`. An error is shown in `message`; the pictures stay until new ones are there.

    Parameters
    ----------
    encoder : ClipEncoder
    store : ImageStore
    limit : int
        How many images to show at first.
    query_text : str
        What stands in the box at first; not blank: it is searched at once.
    upload_dir : path, optional
        Where uploaded images are kept, so that their search can be run again; `runs/uploads`
        where none is given.

    Attributes
    ----------
    query, unlike, upload, add_label, labels, limit, templates, button, message, results
        The parts, each an ipywidget; a cell may set their values and call `button.click()`.
    image : Path or None
        The image to be like; a cell may set it.
    found : SearchResults or None
        What the pictures show.
    widget
        The whole, which a notebook shows.
    """

    def __init__(
        self,
        encoder: ClipEncoder,
        store: ImageStore,
        limit: int = 10,
        query_text: str = "",
        upload_dir: str | os.PathLike | None = None,
    ) -> None:
        self._encoder, self._store = encoder, store
        self._upload_dir = Path(upload_dir or resolve_path("runs") / "uploads")
        self._image: Path | None = None
        self._tiles: list[widgets.VBox] = []
        self._settling = False
        self.found: SearchResults | None = None
        self._make_parts(limit, query_text)
        self._arrange_parts()
        self._connect_parts()
        if query_text.strip():
            self.show_results()

    @property
    def image(self) -> Path | None:
        """The image to be like, uploaded or chosen with "more like this"; None for none."""
        return self._image

    @image.setter
    def image(self, path: str | os.PathLike | None) -> None:
        self._image = resolve_path(path) if path else None
        shown = self._image and tile_html(self._image, "", edge=40)
        self.picture.value = shown or ""
        self.forget.layout.display = "" if shown else "none"

    @property
    def parameters(self) -> dict[str, object]:
        """What is asked, as parameters of 03_search for papermill."""
        image, folder = self._image, self.found.image_dir if self.found else None
        if image and folder and image.is_relative_to(folder):
            image = image.relative_to(folder)
        asked = {
            "query_text": self.query.value.strip(),
            "query_image": image.as_posix() if image else None,
            "unlike": self.unlike.value.strip(),
            "labels": list(self.labels.value),
            "templates": list(TEMPLATES) if self.templates.value else None,
            "limit": self.limit.value,
            "model_name": self._encoder.model_name,
            "milvus_uri": self._store.shown_uri,
            "collection_name": self._store.collection_name,
        }
        return {name: value for name, value in asked.items() if value or name == "query_text"}

    def show_results(self, _event: object = None) -> None:
        """Search for what the parts say and show the pictures, or the error."""
        self.labels.layout.display = "" if self.labels.value else "none"
        if self._settling:
            return
        if self._image and not self._image.is_file():
            gone, self.image = self._image, None  # else it would be in the way of all that follows
            self._say(f"{gone} is gone: the file was moved or deleted", failed=True)
            return
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                found = search(
                    Query.of(self.query.value, self._image, self.unlike.value),
                    self._encoder,
                    self._store,
                    limit=self.limit.value,
                    where={"label": list(self.labels.value)} if self.labels.value else None,
                    templates=list(TEMPLATES) if self.templates.value else None,
                )
            started = time.perf_counter()
            self._show(found)
            self._report(found, 1000 * (time.perf_counter() - started))
            if too_long := [str(w.message) for w in caught if w.category is UserWarning]:
                self._say(too_long[0])
        except Exception as error:  # anything that happens must be seen: widgets swallow errors
            self._say(str(error) or type(error).__name__, failed=True)

    def _show(self, found: SearchResults) -> None:
        while len(self._tiles) < len(found):
            self._tiles.append(self._make_tile(len(self._tiles)))
        for hit, tile in zip(found, self._tiles, strict=False):
            tile.children[0].value = tile_html(hit.path, hit.caption)
        self.results.children = self._tiles[: len(found)]
        self.found = found

    def _report(self, found: SearchResults, pictures: float) -> None:
        spent = found.milliseconds
        shares = f"query {spent['encoding']:.0f}, Milvus {spent['searching']:.0f}"
        line = (
            f"{found.counted} in {spent['total'] + pictures:.0f} ms "
            f"({shares}, pictures {pictures:.0f})"
        )
        self.status.value = f"<small>{html.escape(found.question.title)}: {line}</small>"
        call = f"papermill 03_search.ipynb out.ipynb -y {shlex.quote(json.dumps(self.parameters))}"
        lines = (html.escape(text) for text in (found.code, call))
        style = "user-select:all;white-space:pre-wrap;font-size:11px"
        self.code.value = "<br>".join(f"<code style='{style}'>{line}</code>" for line in lines)
        if not found:
            self._say(found.note or "The collection is empty: run 02_ingestion first.")
        else:
            self._say(found.verdict if found.matches is False else "")

    def _more_like(self, place: int, _button: object) -> None:
        if not self.found or place >= len(self.found):
            return  # the picture was clicked just when it went away
        self._settling = True
        self.query.value, self.unlike.value, self.image = "", "", self.found[place].path
        self._settling = False
        self.show_results()

    def _forget_image(self, _button: object) -> None:
        self.image = None
        self.show_results()

    def _add_label(self, _change: object) -> None:
        if self.add_label.value:
            self.labels.value = [*self.labels.value, self.add_label.value]
            self.add_label.value = ""

    def _take_upload(self, _change: object) -> None:
        if not self.upload.value:
            return
        file = self.upload.value[0]
        try:
            self.image = self._keep(file["name"], bytes(file["content"]))
        except Exception as error:  # as above
            self._say(str(error), failed=True)
            return
        finally:
            self.upload.value = ()  # so that the same file may be chosen again
        self.show_results()

    def _keep(self, name: str, content: bytes) -> Path:
        """Write an uploaded image to a file of its own; OSError if it is none."""
        self._upload_dir.mkdir(parents=True, exist_ok=True)
        digest = hashlib.blake2b(content, digest_size=4).hexdigest()
        path = self._upload_dir / f"{digest}-{re.sub(r'[^A-Za-z0-9._-]', '_', name)[-60:]}"
        path.write_bytes(content)
        try:
            load_image(path)
        except OSError as error:
            path.unlink()
            raise OSError(str(error).replace(str(path), name)) from error
        return path

    def _say(self, text: str, failed: bool = False) -> None:
        colour = "#c62828" if failed else "#9a6700"
        style = f"display:block;border-left:4px solid {colour};padding-left:8px"
        self.message.value = f"<span style='{style}'>{html.escape(text)}</span>" if text else ""

    def _make_parts(self, limit: int, query_text: str) -> None:
        self.query = widgets.Text(
            query_text,
            placeholder="what to look for, in English",
            continuous_update=False,
            layout={"flex": "1 1 240px", "width": "auto"},
        )
        self.button = widgets.Button(description="Search", icon="search", button_style="primary")
        self.unlike = widgets.Text(
            description="less like",
            placeholder="words to stay away from",
            style={"description_width": "initial"},
            continuous_update=False,
            layout={"flex": "1 1 200px", "width": "auto", "min_width": "0"},
        )
        self.upload = widgets.FileUpload(
            accept="image/*",
            description="Image",
            tooltip="an image to be like; Jupyter started by itself drops files above 10 MB",
        )
        self.picture = widgets.HTML()
        self.forget = widgets.Button(
            icon="times", tooltip="without this image", layout={"width": "36px", "display": "none"}
        )
        labels = self._store.labels()
        self.add_label = widgets.Dropdown(
            options=[("only this label …", ""), *((label, label) for label in labels)],
            layout={"width": "190px"},
        )
        self.labels = widgets.TagsInput(allowed_tags=labels, layout={"display": "none"})
        self.limit = widgets.BoundedIntText(limit, 1, 100, layout={"width": "64px"})
        self.templates = widgets.Checkbox(
            description="several phrasings",
            indent=False,
            layout={"width": "auto", "margin": "2px 0 2px 8px"},
        )
        self.message, self.status, self.code = widgets.HTML(), widgets.HTML(), widgets.HTML()
        columns = f"repeat(auto-fill, {_WIDTH})"
        self.results = widgets.GridBox(layout={"grid_template_columns": columns})

    def _arrange_parts(self) -> None:
        line = {"flex_flow": "row wrap", "align_items": "center"}
        number = widgets.HBox([self.limit, widgets.Label("results")])
        rows = [
            [self.query, self.button],
            [self.unlike, self.upload, self.picture, self.forget, number, self.templates],
            [self.add_label, self.labels] if self.labels.allowed_tags else [],
        ]
        boxes = [widgets.Box(row, layout=line) for row in rows]
        self.widget = widgets.VBox(
            [*boxes, self.message, self.status, self.results, self.code, widgets.HTML(_STYLE)],
            layout={"max_width": "900px"},
        )
        self.widget.add_class("search-panel")

    def _connect_parts(self) -> None:
        for part in (self.query, self.unlike, self.labels, self.limit, self.templates):
            part.observe(self.show_results, names="value")
        self.button.on_click(self.show_results)
        self.upload.observe(self._take_upload, names="value")
        self.forget.on_click(self._forget_image)
        self.add_label.observe(self._add_label, names="value")

    def _make_tile(self, place: int) -> widgets.VBox:
        more = widgets.Button(description="more like this", layout={"width": "160px"})
        more.on_click(functools.partial(self._more_like, place))
        return widgets.VBox([widgets.HTML(), more], layout={"width": _WIDTH})

    def _repr_mimebundle_(self, **options: object) -> dict:
        """Show the widget; where there are none, as in a page, at least the pictures."""
        shown = {"text/html": self.found.to_html()} if self.found else {}
        return self.widget._repr_mimebundle_(**options) | shown
