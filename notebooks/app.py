# The search panel alone, as a page: `make app`. Voila runs this for each visitor.
import os

from helpers import SearchPanel, Settings, open_collection, prepare

given = {name: os.environ.get(name.upper()) or None for name in ("model_name", "collection_name")}
settings = prepare(Settings.resolve(**given))
SearchPanel(*open_collection(settings), query_text=settings.query_text)
