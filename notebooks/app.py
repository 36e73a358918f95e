# The search panel alone, as a page: `make app`. Voila runs this like a notebook of one cell, for
# each visitor, with what voila.json says; the environment holds the settings.
import os

from IPython.display import display

from helpers import ClipEncoder, ImageStore, SearchPanel, Settings, ingest, prepare

collection_name = os.environ.get("COLLECTION_NAME") or None
model_name = os.environ.get("MODEL_NAME") or None
settings = Settings.resolve(model_name=model_name, collection_name=collection_name)
settings = prepare(settings, images=collection_name is None)
encoder = ClipEncoder(settings.model_name)
store = ImageStore(settings.milvus_uri, settings.collection_name)
if not store.count() and collection_name is None:
    ingest(settings.image_dir, encoder, store)
display(SearchPanel(encoder, store, query_text=settings.query_text))
