# The search panel alone, as a page: `make app` serves it, and Voila runs this for each visitor.
# The page comes at once and says what it waits for, while the model and the browser's side load.
import asyncio
import os

import ipywidgets as widgets
from IPython import get_ipython
from IPython.display import display

import helpers

DEMO = "This is the demo: drawings, and a tiny model that knows nothing else."
SORRY = "The photos cannot be searched at the moment. Please try again later."


def say(text: str, look: str = "") -> None:
    page.children = [widgets.HTML(f"<p class='said {look}' role='status'>{text}</p>")]


def open_all() -> tuple:
    given = {name: os.environ.get(name.upper()) for name in ("model_name", "collection_name")}
    settings = helpers.Settings.resolve(**given)
    return helpers.open_collection(settings)


async def start() -> None:
    """Show the panel, with the question that the address asks. What fails goes to the log."""
    say("Loading the model …")
    try:
        encoder, store = await asyncio.to_thread(open_all)
        say("Searching …")
        address = os.environ.get("QUERY_STRING", "")
        panel = helpers.SearchPanel(
            encoder,
            store,
            upload_dir=os.environ.get("UPLOAD_DIR"),
            visitors=True,
            address=address,
        )
        said = [widgets.HTML(f"<p class='said'>{DEMO}</p>")] if encoder.name == "tiny" else []
        page.children = [*said, panel.widget]
    except Exception:  # whatever it is, a visitor can do nothing about it
        get_ipython().kernel.log.exception("A visitor got no panel:")
        say(SORRY, "failed")


page = widgets.VBox()
starting = asyncio.get_running_loop().create_task(start())
display(page)
