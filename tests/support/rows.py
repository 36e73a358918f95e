"""Rows as `ingest` writes them, for a model with eight dimensions."""

from types import SimpleNamespace

import numpy as np

from helpers.collection.columns import COLUMNS, image_id

MODEL = SimpleNamespace(name="eight", model_name="eight", dim=8, digest="a" * 64, content="c" * 64)
ODD_NAMES = ["plain.jpg", 'it\'s "quoted".jpg', "line\nbreak.jpg", "tab\t\\.jpg", "😀 <script>.jpg"]
TWIN = SimpleNamespace(name="eight", model_name="eight", dim=8, digest="b" * 64, content="d" * 64)


def row(filepath: str, vector=None, **fields) -> dict:
    """Return a row; its vector is the first axis if none is given."""
    vector = np.eye(8, dtype=np.float32)[0] if vector is None else vector
    empty = {column.name: column.empty for column in COLUMNS}
    numbers = {"width": 1, "height": 1, "size": 1, "mtime": 1}
    base = {"id": image_id(filepath), "vector": vector, "filepath": filepath}
    return empty | base | numbers | fields
