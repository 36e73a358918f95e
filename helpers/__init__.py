"""Text-to-image search with CLIP and Milvus: the package behind the notebooks.

Layout: each part imports only parts on floors below its own::

    9  __main__, app                       run the notebooks; serve the panel as a page
    8  views, visitors                     the panel and charts; who may see its page
    7  session, evaluation                 make ready what is named; how good it is
    6  retrieval                           a question to results
    5  ingestion                           a folder to a collection
    4  query                               questions, chance, results
    3  models, collection                  encoders; Milvus
    2  images, demo                        image files; drawings and their tiny CLIP
    1  batches, dates, encoding, settings  what all the others build on

Only `session` opens models; the others name what they are handed, see `encoding`.
Names are loaded on first use, so `import helpers` is quick and does not import torch.
"""

from importlib import import_module

_PUBLIC = {
    "settings": ["Settings"],
    "images.tutorial": ["fetch_tutorial_images"],
    "images.files": ["list_images"],
    "demo.drawings": ["draw_demo_images"],
    "models.encoder": ["ClipEncoder"],
    "images.pictures": ["load_image", "sample_images"],
    "images.gallery": ["image_grid"],
    "collection.store": ["ImageStore"],
    "collection.filters": ["like", "near"],
    "session": ["prepare", "open_collection"],
    "ingestion": ["ingest"],
    "query.queries": ["TEMPLATES", "AnyOf", "Query"],
    "query.results": ["Hit", "SearchResults"],
    "retrieval": ["search"],
    "evaluation.judgements": ["Judgements", "judgements_of"],
    "evaluation.measuring": ["compare", "evaluate", "zero_shot"],
    "evaluation.calibration": ["calibrate"],
    "evaluation.tuning": ["tune"],
    "views.charts": [
        "best_and_worst",
        "confusion_heatmap",
        "embedding_map",
        "margin_histograms",
        "project",
        "roc_chart",
        "similarity_heatmap",
    ],
    "views.panel": ["SearchPanel"],
}
_HOME_OF = {name: home for home, names in _PUBLIC.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str):
    if name not in _HOME_OF:
        raise AttributeError(f"module 'helpers' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
