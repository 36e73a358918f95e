"""A map on which images that are alike lie together, and texts among the images they match."""

import os
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..images.gallery import shortened
from .charts import place_picture

_LINE = 0.3  # inches that a line of text takes


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
    if count >= 5 and places.std() > 1e-6:  # copies of one image would crash t-SNE
        perplexity = min(30, (count - 1) / 3)
        tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed)
        places = tsne.fit_transform(reduced)
    lowest, highest = places.min(axis=0), places.max(axis=0)
    spread = highest - lowest
    scaled = (places - lowest) / np.maximum(spread, 1e-9)
    return np.where(spread > 1e-6, scaled, 0.5).astype(np.float32)


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
    therefore points to the median place of its best images; that rule is our own. The texts are
    written beside the map, where they cover neither pictures nor one another.

    Parameters
    ----------
    places : ndarray, shape (n, 2)
    paths : sequence of n paths
    texts : sequence of m str
        Long ones are cut.
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
    inches = max(8, _LINE * (len(texts) + 1) / 2)
    figure, axes = plt.subplots(figsize=(8, inches))
    figure.subplots_adjust(left=0, bottom=0, right=1, top=1)
    axes.scatter(places[:, 0], places[:, 1], s=5, color="silver", zorder=1)
    for index in _spread(places, thumbnails):
        place_picture(axes, paths[index], tuple(places[index]), zoom=0.16)
    best = np.argsort(-similarities, axis=1)[:, :neighbours]
    style: dict[str, Any] = {"s": 26, "edgecolors": "white", "linewidths": 0.8, "zorder": 4}
    for number, indices in enumerate(best):
        axes.scatter(*places[indices].T, color=f"C{number}", **style)
    axes.set(xticks=[], yticks=[], xlim=(-0.04, 1.04), ylim=(-0.04, 1.04))
    _label_beside(axes, texts, np.median(places[best], axis=1), gap=1.08 * _LINE / inches)
    plt.close(figure)
    return figure


def _label_beside(axes: Axes, texts: Sequence[str], spots: np.ndarray, gap: float) -> None:
    """Write texts beside the map, half on either side, each with a line to its spot."""
    from_left = np.argsort(spots[:, 0], kind="stable")
    sides = (-0.07, "right"), (1.07, "left")
    for (x, alignment), of_side in zip(sides, np.array_split(from_left, 2), strict=True):
        upwards = of_side[np.argsort(spots[of_side, 1], kind="stable")]
        for number, height in zip(upwards, _apart(spots[upwards, 1], gap), strict=True):
            axes.annotate(
                shortened(texts[number]),
                spots[number],
                (x, height),
                ha=alignment,
                va="center",
                fontsize=12,
                color=f"C{number}",
                fontweight="bold",
                annotation_clip=False,
                parse_math=False,  # a text with two $ is no formula
                arrowprops={"arrowstyle": "-", "color": f"C{number}", "relpos": (x < 0, 0.5)},
                zorder=5,
            )


def _apart(heights: np.ndarray, gap: float) -> np.ndarray:
    """Move rising heights between 0 and 1 until there is a gap between each and the next."""
    steps = gap * np.arange(len(heights))
    lowest = np.maximum.accumulate(heights - steps)
    return np.minimum(lowest, max(1 - gap * (len(heights) - 1), 0)) + steps


def _spread(places: np.ndarray, most: int) -> list[int]:
    """Pick points that cover the map: the first in each cell of a grid of `most` cells."""
    cells = (places * (np.sqrt(most) - 1)).round().astype(int)
    return sorted(np.unique(cells, axis=0, return_index=True)[1].tolist())
