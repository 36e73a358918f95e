"""The only place where embeddings are scaled to unit length and checked."""

import numpy as np
import numpy.typing as npt


def unit_vectors(vectors: npt.ArrayLike) -> np.ndarray:
    """Scale vectors to length 1, so that a dot product is a cosine.

    Milvus Lite silently accepts NaN, so values that are not finite are refused here.

    Parameters
    ----------
    vectors : array_like, shape (dim,) or (n, dim)

    Returns
    -------
    ndarray of float32, of the same shape

    Raises
    ------
    ValueError
        If a vector has an entry that is not finite, or has length zero (below 1e-6).
    """
    vectors = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not np.isfinite(norms).all():
        raise ValueError("an embedding has entries that are not finite: check the model's weights")
    if (norms < 1e-6).any():
        raise ValueError("a vector has length zero, so no direction: check what it was made from")
    return vectors / norms
