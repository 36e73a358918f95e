"""Text-to-image search with CLIP and Milvus: the package behind the notebooks.

Layout: each part imports only parts on floors below its own::

    8  __main__, app                                run the notebooks; serve the panel as a page
    7  views, visitors                              the panel, charts and maps; who may see its page
    6  session, evaluation                          make ready what is named; how good it is
    5  ingestion, retrieval                         folder to collection; question to results
    4  query, recognition, report                   questions and answers; known files; reports
    3  demo, models, collection                     drawings and their tiny CLIP; encoders; Milvus
    2  settings, images                             where each value comes from; image files
    1  batches, dates, encoding, parameters, paths  what all the others build on

Names are loaded on first use, so `import helpers` is quick and does not import torch.
"""

from importlib import import_module

_HOME_OF = {
    "Settings": "settings",
    "fetch_tutorial_images": "images.tutorial",
    "list_images": "images.files",
    "sample_images": "images.pictures",
    "draw_demo_images": "demo.drawings",
    "ClipEncoder": "models.encoder",
    "load_image": "images.pictures",
    "image_grid": "images.gallery",
    "ImageStore": "collection.store",
    "like": "collection.filters",
    "near": "collection.filters",
    "prepare": "session",
    "open_collection": "session",
    "ingest": "ingestion",
    "TEMPLATES": "query.queries",
    "Query": "query.queries",
    "Hit": "query.results",
    "SearchResults": "query.results",
    "search": "retrieval",
    "Judgements": "evaluation.judgements",
    "judgements_of": "evaluation.judgements",
    "evaluate": "evaluation.measuring",
    "evaluate_captions": "evaluation.measuring",
    "zero_shot": "evaluation.measuring",
    "compare": "evaluation.comparing",
    "calibrate": "evaluation.calibration",
    "confusion_heatmap": "views.charts",
    "margin_histograms": "views.charts",
    "roc_chart": "views.charts",
    "similarity_heatmap": "views.charts",
    "best_and_worst": "views.answers",
    "embedding_map": "views.maps",
    "project": "views.maps",
    "SearchPanel": "views.panel",
}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str):
    if name not in _HOME_OF:
        raise AttributeError(f"module 'helpers' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
