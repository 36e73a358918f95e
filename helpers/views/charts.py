"""Pictures of many similarities at once: a heat map, and a map of the embeddings."""

import os
import warnings
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from sklearn.metrics import roc_auc_score

from ..images.gallery import thumbnail

__all__ = ["embedding_map", "margin_histograms", "project", "similarity_heatmap"]

warnings.filterwarnings("ignore", "Glyph .* missing from")  # a box for a letter is good enough


def similarity_heatmap(
    similarities: np.ndarray, texts: Sequence[str], paths: Sequence[str | os.PathLike]
) -> Figure:
    """Draw the cosines of texts (rows) and images (columns), with the images above.

    Parameters
    ----------
    similarities : ndarray, shape (len(texts), len(paths))
    texts : sequence of str
    paths : sequence of paths
        A picture that cannot be read is left out.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows, columns = similarities.shape
    figure, axes = plt.subplots(figsize=(2.2 + 0.9 * columns, 1.6 + 0.6 * rows))
    picture = axes.imshow(similarities, cmap="viridis", aspect="auto")
    middle = (similarities.max() + similarities.min()) / 2
    for (row, column), value in np.ndenumerate(similarities):
        colour = "black" if value > middle else "white"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)
    axes.set_yticks(range(rows), texts, parse_math=False)
    axes.set_xticks([])
    for column, path in enumerate(paths):
        _place(axes, path, (column, -0.55), zoom=0.33, alignment=(0.5, 0))
    figure.colorbar(picture, ax=axes, label="cosine")
    plt.close(figure)  # a notebook shows what the cell returns, and only that
    return figure


def margin_histograms(judged: pd.DataFrame, threshold: float) -> Figure:
    """Draw the largest margins of texts that are shown, against each kind of those that are not.

    Parameters
    ----------
    judged : DataFrame
        `kind`, "present" or a kind of absence, and `margin`.
    threshold : float
        The margin from which on there is a match.

    Returns
    -------
    matplotlib.figure.Figure
        A title tells the area under the ROC curve, and the shares on the wrong side.
    """
    absent = sorted(set(judged["kind"]) - {"present"})
    figure, grid = plt.subplots(
        len(absent), figsize=(8, 2.5 * len(absent)), sharex=True, squeeze=False
    )
    present = judged["margin"][judged["kind"] == "present"]
    for axes, kind in zip(grid[:, 0], absent, strict=True):
        others = judged["margin"][judged["kind"] == kind]
        area = roc_auc_score([1] * len(present) + [0] * len(others), [*present, *others])
        bins = np.linspace(judged["margin"].min(), judged["margin"].max(), 40)
        axes.hist(others, bins, alpha=0.7, label=kind, color="grey")
        axes.hist(present, bins, alpha=0.7, label="present", color="seagreen")
        axes.axvline(threshold, color="crimson", label="matches begin")
        wrong = f"{(present < threshold).mean():.1%} and {(others >= threshold).mean():.1%}"
        axes.set_title(f"present or {kind}: area {area:.3f}, misjudged {wrong}")
        axes.legend()
    axes.set_xlabel("largest margin")
    figure.tight_layout()
    plt.close(figure)
    return figure


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
    axes.scatter(*places.T, s=5, color="silver", zorder=1)
    for index in _spread(places, thumbnails):
        _place(axes, paths[index], tuple(places[index]), zoom=0.16)
    for text, similarity in zip(texts, similarities, strict=True):
        best = np.argsort(-similarity)[:neighbours]
        _mark(axes, text, places[best])
    axes.set(xticks=[], yticks=[], xlim=(-0.04, 1.04), ylim=(-0.04, 1.04))
    axes.set_title("Images by likeness; each query among the images that match it best")
    plt.close(figure)
    return figure


def _mark(axes: Axes, text: str, places: np.ndarray) -> None:
    x, y = np.median(places, axis=0)
    axes.scatter(*places.T, s=22, color="crimson", edgecolors="white", linewidths=0.6, zorder=4)
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


def _place(
    axes: Axes,
    path: str | os.PathLike,
    place: tuple[float, float],
    zoom: float,
    alignment: tuple[float, float] = (0.5, 0.5),
) -> None:
    try:
        image = OffsetImage(np.asarray(thumbnail(path)), zoom=zoom)
    except OSError:
        return
    box = AnnotationBbox(
        image, place, frameon=False, box_alignment=alignment, pad=0, annotation_clip=False
    )
    axes.add_artist(box)
