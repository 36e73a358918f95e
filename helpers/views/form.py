"""`Form`: the boxes of the search panel and the words in them. What they do is `panel`'s."""

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from .asked import Asked

_GROWS = {"flex": "1 1 120px", "width": "auto", "min_width": "0"}
_ROW = {"flex_flow": "row wrap", "align_items": "center", "grid_gap": "2px 8px"}


class Form:
    """The parts of the form, each an ipywidget; `fields` are those that are part of a question.

    Parameters
    ----------
    labels : sequence of str
        To choose from.
    limit : int
    query_text : str
    visitors : bool
        Whether to leave out what visitors shall not do.
    suggested : sequence of str
        Texts to begin with, each a button.
    """

    def __init__(
        self,
        labels: Sequence[str],
        limit: int,
        query_text: str,
        visitors: bool,
        suggested: Sequence[str] = (),
    ) -> None:
        self.back = _button("", "The question before", icon="chevron-left", disabled=True)
        self.forward = _button("", "The next question", icon="chevron-right", disabled=True)
        self.query = _text("", "what to look for, in English", value=query_text)
        self.button = _button("Search", "", icon="search", button_style="primary")
        self.options = widgets.ToggleButton(description="options", icon="sliders")
        self.options.layout.width = "auto"
        self.unlike = _text("unlike", "words to stay away from")
        self.label = _text("label", "one of the labels", widgets.Combobox, options=labels)
        self.taken_from = _text("from", "2019, 2019-06 or 2019-06-15")
        self.taken_to = _text("until", "the end of then")
        self.camera = _text("camera", "a piece of its name; capitals count")
        self.name = _text("file", "a piece of its name, or its folder's; capitals count")
        orders = [("best first", ""), ("newest first", "taken")]
        self.sort_by = widgets.Dropdown(description="order", options=orders)
        self.limit = widgets.IntText(limit, description="at first")
        self.templates = widgets.Checkbox(description="several phrasings", indent=False)
        self.numbers = widgets.Checkbox(description="show numbers", indent=False)
        self.save = _button("save as CSV", "The chosen photos, or all, with their facts")
        self.save_thumbs = _button(
            "save thumbs", "As a CSV file, which notebook 5 reads", disabled=True
        )
        self.paths = _button("copy paths", "Where the chosen photos are, or all")
        self.folder = _text("copy into", "a folder: the chosen photos, or all")
        self.copy = _button("Copy", "No file is written over")
        for part in (self.sort_by, self.limit, self.templates, self.numbers):
            part.layout.width = part.style.description_width = "auto"
        self.limit.layout.width = "130px"
        self.fields = {
            "query_text": self.query,
            "unlike": self.unlike,
            "taken_from": self.taken_from,
            "taken_to": self.taken_to,
            "camera": self.camera,
            "name": self.name,
            "sort_by": self.sort_by,
            "templates": self.templates,
        }
        folded = [self.unlike, self.label, self.taken_from, self.taken_to, self.camera, self.name]
        folded += [self.sort_by, self.limit, self.templates, self.numbers]
        folded += [self.save, self.save_thumbs]
        folded += [] if visitors else [self.paths, self.folder, self.copy]
        head = [self.back, self.forward, self.query, self.button, self.options]
        self._fold = widgets.Box(folded, layout=_ROW | {"display": "none"})
        tries = [_button(text, f"Search for {text}") for text in suggested]
        for button in tries:
            button.on_click(lambda clicked: setattr(self.query, "value", clicked.description))
        rows = [head, [widgets.Label("Try"), *tries]] if tries else [head]
        boxes = [widgets.Box(row, layout=_ROW) for row in rows]
        self.widget = widgets.VBox([*boxes, self._fold])
        self.options.observe(self._unfold, names="value")

    @property
    def values(self) -> dict[str, Any]:
        """What is typed and chosen, by the names that `Asked` has for it."""
        values = {name: part.value for name, part in self.fields.items()}
        return {
            n: value.strip() if isinstance(value, str) else value for n, value in values.items()
        }

    def fill(self, asked: Asked) -> None:
        """Write a question into the boxes."""
        for name, part in self.fields.items():
            part.value = getattr(asked, name)

    def on_change(self, does: Callable[[object], None]) -> None:
        """Call a function whenever one of the boxes has another value, or the button is clicked."""
        for part in (*self.fields.values(), self.limit):
            part.observe(does, names="value")
        self.button.on_click(does)

    def _unfold(self, _change: object) -> None:
        self._fold.layout.display = "flex" if self.options.value else "none"


def _button(description: str, tooltip: str, **options: object) -> widgets.Button:
    return widgets.Button(
        description=description, tooltip=tooltip, layout={"width": "auto"}, **options
    )


def _text(
    description: str, placeholder: str, kind: type = widgets.Text, **options: object
) -> widgets.Text:
    return kind(
        description=description,
        placeholder=placeholder,
        continuous_update=False,
        style={"description_width": "auto"},
        layout=_GROWS,
        **options,
    )
