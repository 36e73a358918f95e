"""An index on trial: what an approximate index finds among vectors, in a database of its own.

The collection itself stays as it is, and is searched exactly (see `store`).
"""

import tempfile
from pathlib import Path

import numpy as np

from ..batches import batches
from .connection import Connection, pymilvus

_NAME = "trial"
_AT_ONCE = 1000  # rows written, or queries asked


def search_by_index(
    vectors: np.ndarray,
    queries: np.ndarray,
    limit: int,
    index_type: str = "HNSW",
    build: dict | None = None,
    ask: dict | None = None,
) -> np.ndarray:
    """Return the vectors that an index of Milvus Lite finds nearest, by their numbers.

    Parameters
    ----------
    vectors : ndarray of float32, shape (n, dim)
    queries : ndarray of float32, shape (m, dim)
    limit : int
    index_type : str
        As in https://milvus.io/docs/index.md; `build` and `ask` are its parameters. By default
        those of HNSW: {"M": 16, "efConstruction": 200} and {"ef": max(64, limit)}.

    Returns
    -------
    ndarray of int, shape (m, limit)
        The nearest first; -1 where fewer were found.
    """
    build = {"M": 16, "efConstruction": 200} if build is None else build
    ask = {"ef": max(64, limit)} if ask is None else ask
    found = np.full((len(queries), limit), -1)
    with tempfile.TemporaryDirectory() as folder:
        connection = Connection(Path(folder) / "milvus.db")
        try:
            client = connection.client
            schema = client.create_schema(auto_id=False)
            schema.add_field("id", pymilvus.DataType.INT64, is_primary=True)
            schema.add_field("vector", pymilvus.DataType.FLOAT_VECTOR, dim=vectors.shape[1])
            client.create_collection(_NAME, schema=schema)
            for part in batches(range(len(vectors)), _AT_ONCE):
                client.insert(_NAME, [{"id": i, "vector": vectors[i]} for i in part])
            client.flush(_NAME)
            index = client.prepare_index_params()
            index.add_index("vector", index_type=index_type, metric_type="COSINE", params=build)
            client.create_index(_NAME, index, sync=False)
            client.load_collection(_NAME)
            for part in batches(range(len(queries)), _AT_ONCE):
                answers = client.search(
                    _NAME,
                    list(queries[part]),
                    limit=limit,
                    search_params={"metric_type": "COSINE", "params": ask},
                )
                for number, hits in zip(part, answers, strict=True):
                    ids = [hit["id"] for hit in hits]
                    found[number, : len(ids)] = ids
        finally:
            connection.close()
    return found
