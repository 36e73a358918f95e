"""Text-to-image search with CLIP and Milvus: what the notebooks stand on.

Names are loaded when first used, so `import helpers` is quick and brings no torch with it.
"""

from importlib import import_module

_HOME_OF = {
    "Settings": "settings",
    "read_flag": "settings",
    "fetch_tutorial_images": "datasets",
    "list_images": "datasets",
    "sample_images": "datasets",
    "draw_demo_images": "drawings",
    "ClipEncoder": "encoder",
    "load_image": "images",
    "image_grid": "gallery",
    "ImageStore": "store",
    "prepare": "preparation",
    "ingest": "ingestion",
    "TEMPLATES": "queries",
    "Query": "queries",
    "Hit": "results",
    "SearchResults": "results",
    "search": "retrieval",
    "similarity_heatmap": "visualization",
    "embedding_map": "visualization",
    "margin_histograms": "visualization",
    "project": "visualization",
    "SearchPanel": "panel",
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
