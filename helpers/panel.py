"""`SearchPanel`: a search box with pictures, made of ipywidgets.

It only asks (`retrieval`) and shows; what a question means is decided there.
"""

import html

import ipywidgets as widgets

from .encoder import ClipEncoder
from .retrieval import search
from .store import ImageStore

__all__ = ["SearchPanel"]


class SearchPanel:
    """A search box, the number of results, a button and the pictures.

    Enter in the box or a click on the button searches. An error is shown in `message`; the
    pictures stay until new ones are there.

    Parameters
    ----------
    encoder : ClipEncoder
    store : ImageStore
    limit : int
        How many images to show at first.
    query_text : str
        What stands in the box at first; not blank: it is searched at once.

    Attributes
    ----------
    query, limit, button, message, results
        The parts, each an ipywidget; a cell may set their values and call `button.click()`.
    widget
        The whole, which a notebook shows.
    """

    def __init__(
        self, encoder: ClipEncoder, store: ImageStore, limit: int = 10, query_text: str = ""
    ) -> None:
        self._encoder, self._store = encoder, store
        self.query = widgets.Text(
            value=query_text,
            placeholder="what to look for",
            continuous_update=False,
            layout=widgets.Layout(flex="1 1 auto"),
        )
        self.limit = widgets.BoundedIntText(
            value=limit, min=1, max=100, description="results", layout={"width": "150px"}
        )
        self.button = widgets.Button(description="Search", icon="search", button_style="primary")
        self.message = widgets.HTML()
        self.results = widgets.HTML()
        top = widgets.HBox([self.query, self.limit, self.button])
        self.widget = widgets.VBox([top, self.message, self.results], layout={"max_width": "860px"})

        self.query.observe(self.show_results, names="value")
        self.limit.observe(self.show_results, names="value")
        self.button.on_click(self.show_results)
        if query_text.strip():
            self.show_results()

    def show_results(self, _event: object = None) -> None:
        """Search for what the box says and show the pictures, or the error."""
        try:
            found = search(self.query.value, self._encoder, self._store, limit=self.limit.value)
        except Exception as error:  # anything that happens must be seen: widgets swallow errors
            self._say(str(error), "#c62828")
            return
        self.results.value = found.to_html() if found else ""
        self._say("" if found else "The collection is empty: run 02_ingestion first.")

    def _say(self, text: str, colour: str = "inherit") -> None:
        self.message.value = f"<span style='color:{colour}'>{html.escape(text)}</span>"

    def _repr_mimebundle_(self, **options: object) -> dict:
        return self.widget._repr_mimebundle_(**options)
