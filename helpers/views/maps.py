"""A map on which images that are alike lie together, and texts among the images they match."""

import os
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .charts import place_picture

__all__ = ["embedding_map", "project"]


def project(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """Lay vectors out in two dimensions so that neighbours stay neighbours (t-SNE).

    Distances across the map mean little: only who is near whom does (van der Maaten and Hinton
    2008, https://jmlr.org/papers/v9/vandermaaten08a.html). Fewer than five vectors, too few for
    t-SNE, are laid out by their principal components.

    Parameters
    ----------
    vectors : ndarray, shape (n, dim)
    seed : int

    Returns
    -------
    ndarray of float32, shape (n, 2), between 0 and 1
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    count, dim = vectors.shape
    if count < 3:
        return np.linspace(0.25, 0.75, count, dtype=np.float32)[:, None].repeat(2, axis=1)
    reduced = PCA(min(50, count, dim), random_state=seed).fit_transform(vectors)
    places = reduced[:, :2]
    if count >= 5:
        perplexity = min(30, (count - 1) / 3)
        tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed)
        places = tsne.fit_transform(reduced)
    lowest, highest = places.min(axis=0), places.max(axis=0)
    return ((places - lowest) / np.maximum(highest - lowest, 1e-9)).astype(np.float32)


def embedding_map(
    places: np.ndarray,
    paths: Sequence[str | os.PathLike],
    texts: Sequence[str],
    similarities: np.ndarray,
    neighbours: int = 10,
    thumbnails: int = 250,
) -> Figure:
    """Draw images where `project` put them, and texts among the images that match them best.

    Texts and images fill different regions of CLIP's space, the modality gap (Liang et al. 2022,
    https://arxiv.org/abs/2203.02053), so a joint projection would only show two heaps. A text
    therefore stands at the median place of its best images; that rule is our own.

    Parameters
    ----------
    places : ndarray, shape (n, 2)
    paths : sequence of n paths
    texts : sequence of m str
    similarities : ndarray, shape (m, n)
        The cosines of texts and images.
    neighbours : int
        How many best images place a text.
    thumbnails : int
        How many images at most are drawn as pictures; the others are dots.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = plt.subplots(figsize=(12, 9))
    axes.scatter(places[:, 0], places[:, 1], s=5, color="silver", zorder=1)
    for index in _spread(places, thumbnails):
        place_picture(axes, paths[index], tuple(places[index]), zoom=0.16)
    for text, similarity in zip(texts, similarities, strict=True):
        best = np.argsort(-similarity)[:neighbours]
        _mark(axes, text, places[best])
    axes.set(xticks=[], yticks=[], xlim=(-0.04, 1.04), ylim=(-0.04, 1.04))
    axes.set_title("Images by likeness; each query among the images that match it best")
    plt.close(figure)
    return figure


def _mark(axes: Axes, text: str, places: np.ndarray) -> None:
    x, y = np.median(places, axis=0)
    style: dict[str, Any] = {"s": 22, "edgecolors": "white", "linewidths": 0.6}
    axes.scatter(places[:, 0], places[:, 1], color="crimson", zorder=4, **style)
    axes.annotate(
        text,
        (x, y),
        xytext=(0, 24),
        textcoords="offset points",
        ha="center",
        fontsize=12,
        fontweight="bold",
        zorder=6,
        parse_math=False,  # a text with two $ is no formula
        bbox={"boxstyle": "round", "facecolor": "white", "edgecolor": "crimson"},
    )


def _spread(places: np.ndarray, most: int) -> list[int]:
    """Pick points that cover the map: the first in each cell of a grid of `most` cells."""
    cells = (places * (np.sqrt(most) - 1)).round().astype(int)
    return sorted(np.unique(cells, axis=0, return_index=True)[1].tolist())
