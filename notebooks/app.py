# The search panel alone, as a page: `make app`. Voila runs this like a notebook of one cell, for
# each visitor, with what voila.json says; the environment holds the settings.
import os

from IPython.display import display

from helpers import SearchPanel, Settings, open_collection, prepare

settings = prepare(
    Settings.resolve(
        model_name=os.environ.get("MODEL_NAME") or None,
        collection_name=os.environ.get("COLLECTION_NAME") or None,
    )
)
display(SearchPanel(*open_collection(settings), query_text=settings.query_text))
