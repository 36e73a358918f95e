"""Charts of a collection and of an evaluation, as pictures for a notebook.

Cosines and mistakes are heat maps, margins are histograms and a ROC curve, a collection is a map on
which images that are alike lie together, and the answers of queries are rows of thumbnails.
"""

import os
import warnings
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from sklearn.metrics import roc_curve

from ..evaluation.judgements import Judgements
from ..evaluation.measuring import Evaluation, nearest
from ..images.gallery import Paths, grid_html, isolated, shortened, thumbnail

Texts = Sequence[str]

_LINE = 0.3  # inches that a line of text takes
_SHOWN = 5  # pictures in a row
_MARKED = {"right": "✓ right", "wrong": "✗ wrong", "not judged": "? not judged"}
warnings.filterwarnings("ignore", "Glyph .* missing from")  # a box for a letter is good enough


def similarity_heatmap(
    similarities: np.ndarray, texts: Texts, paths: Paths, names: Texts = (), measure: str = "cosine"
) -> Figure:
    """Draw the cosines of texts (rows) and images (columns), with the images above.

    Parameters
    ----------
    similarities : ndarray, shape (len(texts), len(paths))
    texts : sequence of str
        Long ones are cut.
    paths : sequence of paths
        A picture that cannot be read is left out.
    names : sequence of str, optional
        What to write below each column.
    measure : str
        What the numbers are, if they are no cosines.

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
    axes.set_yticks(range(rows), map(shortened, texts), parse_math=False)
    names = [*map(shortened, names)]
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", parse_math=False)
    for column, path in enumerate(paths):
        _place_picture(axes, path, 0.33, xy=(column, -0.55), box_alignment=(0.5, 0))
    figure.colorbar(picture, ax=axes, label=measure)
    plt.close(figure)  # a notebook shows what the cell returns, and only that
    return figure


def confusion_heatmap(zero_shot: Evaluation, judgements: Judgements, most: int = 8) -> Figure:
    """Draw which classes are taken for which, with a picture of each.

    Each row is a class, each column what its images were taken for, as shares of its images. The
    classes are those of the most frequent confusions, and if there are few, the first ones.

    Parameters
    ----------
    zero_shot : Evaluation
        See `measuring.zero_shot`.
    judgements : Judgements
        Those that it was made with.
    most : int
        How many classes at most.

    Returns
    -------
    matplotlib.figure.Figure
    """
    own, taken_for = zero_shot.values["own"], zero_shot.values["taken for"]
    wrong = zero_shot.values[own != taken_for][["own", "taken for"]].value_counts().index[:most]
    places = dict.fromkeys([*chain.from_iterable(wrong), *np.unique(own)])
    chosen = [place for place in places if len(judgements.relevant[place])][:most]
    names = [judgements.queries[place] for place in chosen]
    paths = judgements.pool.paths(judgements.relevant[place][0] for place in chosen)
    known = own.isin(chosen)
    shares = pd.crosstab(own[known], taken_for[known], normalize="index")
    shares = shares.reindex(index=chosen, columns=chosen, fill_value=0)
    return similarity_heatmap(shares.to_numpy(), names, paths, names, "share of the row's images")


def margin_histograms(judged: pd.DataFrame, threshold: float | None) -> Figure:
    """Draw the largest margins of texts that are shown, against each kind of those that are not.

    Parameters
    ----------
    judged : DataFrame
        `kind`, "present" or a kind of absence, and `margin`.
    threshold : float or None
        The margin from which on there is a match.

    Returns
    -------
    matplotlib.figure.Figure
        A title tells the area under the ROC curve, and the shares on the wrong side.
    """
    absent = sorted(set(judged["kind"]) - {"present"}) or ["absent"]
    margins = judged["margin"]
    bins = np.linspace(margins.min(), margins.max(), 40) if len(margins) else 1
    figure, grid = plt.subplots(len(absent), sharex=True, squeeze=False, layout="tight")
    figure.set_size_inches(8, 2.5 * len(absent))
    present = margins[judged["kind"] == "present"]
    for axes, kind in zip(grid[:, 0], absent, strict=True):
        others = margins[judged["kind"] == kind]
        axes.hist(others, bins, alpha=0.7, label=kind, color="grey")
        axes.hist(present, bins, alpha=0.7, label="present", color="seagreen")
        title = f"present or {kind}: area {_area(present, others):.3f}"
        if threshold is not None:
            axes.axvline(threshold, color="crimson", label="matches begin")
            wrong = f"{(present < threshold).mean():.1%} and {(others >= threshold).mean():.1%}"
            title += f", misjudged {wrong}"
        axes.set(title=title, ylabel="queries")
        axes.legend()
    grid[-1, 0].set_xlabel("largest margin")
    plt.close(figure)
    return figure


def roc_chart(judged: pd.DataFrame, threshold: float | None) -> Figure:
    """Draw how many right matches each threshold buys at which price in false ones.

    Parameters
    ----------
    judged, threshold
        As for `margin_histograms`; all kinds of absence count as one.

    Returns
    -------
    matplotlib.figure.Figure
    """
    present = judged["kind"] == "present"
    found, others = judged["margin"][present], judged["margin"][~present]
    figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="tight")
    if len(found) and len(others):
        wrong, right, _ = roc_curve(present, judged["margin"])
        axes.plot(wrong, right, color="seagreen", label=f"area {_area(found, others):.3f}")
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="chance")
    if threshold is not None:
        here = (others >= threshold).mean(), (found >= threshold).mean()
        axes.plot(*here, "o", color="crimson", label=f"margin {threshold:.1f}")
    axes.set(xlabel="called a match, of what is not shown", ylabel="called a match, of what is")
    axes.set(title="ROC curve of the judged half")
    axes.legend(loc="lower right")
    plt.close(figure)
    return figure


def _area(present: pd.Series, absent: pd.Series) -> float:
    """Return how often a margin of the first kind is above one of the second; NaN without any."""
    above = np.sign(np.subtract.outer(present.to_numpy(), absent.to_numpy()))
    return float(above.mean() + 1) / 2 if above.size else float("nan")


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
        tsne = TSNE(perplexity=min(30, (count - 1) / 3), init="pca", random_state=seed)
        places = tsne.fit_transform(reduced)
    spread = np.ptp(places, axis=0)
    scaled = (places - places.min(axis=0)) / np.maximum(spread, 1e-9)
    return np.where(spread > 1e-6, scaled, 0.5).astype(np.float32)


def embedding_map(
    places: np.ndarray,
    paths: Paths,
    texts: Texts,
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
    edges = {"left": 0, "bottom": 0, "right": 1, "top": 1}
    figure, axes = plt.subplots(figsize=(8, inches), gridspec_kw=edges)
    axes.scatter(places[:, 0], places[:, 1], s=5, color="silver", zorder=1)
    for index in _spread(places, thumbnails):
        _place_picture(axes, paths[index], 0.16, xy=tuple(places[index]))
    best = np.argsort(-similarities, axis=1)[:, :neighbours]
    for number, dots in enumerate(places[best]):
        axes.plot(*dots.T, "o", color=f"C{number}", ms=5, mec="white", mew=0.8, zorder=4)
    axes.set(xticks=[], yticks=[], xlim=(-0.04, 1.04), ylim=(-0.04, 1.04))
    _label_beside(axes, texts, np.median(places[best], axis=1), gap=1.08 * _LINE / inches)
    plt.close(figure)
    return figure


def _label_beside(axes: Axes, texts: Texts, spots: np.ndarray, gap: float) -> None:
    """Write texts beside the map, half on either side, each with a line to its spot."""
    from_left = np.argsort(spots[:, 0], kind="stable")
    for x, of_side in zip((-0.07, 1.07), np.array_split(from_left, 2), strict=True):
        upwards = of_side[np.argsort(spots[of_side, 1], kind="stable")]
        for number, height in zip(upwards, _apart(spots[upwards, 1], gap), strict=True):
            colour, side = f"C{number}", "right" if x < 0 else "left"
            arrow = {"arrowstyle": "-", "color": colour, "relpos": (x < 0, 0.5)}
            look: dict[str, Any] = {"color": colour, "fontsize": 12, "fontweight": "bold"}
            look |= {"ha": side, "va": "center", "zorder": 5, "parse_math": False}  # two $ are text
            text, spot = shortened(texts[number]), spots[number]
            axes.annotate(text, spot, (x, height), arrowprops=arrow, **look)


def _apart(heights: np.ndarray, gap: float) -> np.ndarray:
    """Move rising heights between 0 and 1 until there is a gap between each and the next."""
    steps = gap * np.arange(len(heights))
    lowest = np.maximum.accumulate(heights - steps)
    return np.minimum(lowest, max(1 - gap * (len(heights) - 1), 0)) + steps


def _spread(places: np.ndarray, most: int) -> list[int]:
    """Pick points that cover the map: the first in each cell of a grid of `most` cells."""
    cells = (places * (np.sqrt(most) - 1)).round().astype(int)
    return sorted(np.unique(cells, axis=0, return_index=True)[1].tolist())


def _place_picture(axes: Axes, path: str | os.PathLike, zoom: float, **box: Any) -> None:
    """Draw a thumbnail in a box of the axes; leave out what cannot be read."""
    with suppress(OSError):
        image = OffsetImage(np.asarray(thumbnail(path)), zoom=zoom)
        axes.add_artist(AnnotationBbox(image, frameon=False, pad=0, annotation_clip=False, **box))


def best_and_worst(evaluation: Evaluation, judgements: Judgements, each: int = 2) -> HTML:
    """Show the first hits of the queries with the lowest and the highest average precision.

    Parameters
    ----------
    evaluation : Evaluation
    judgements : Judgements
        Those that it was made with.
    each : int
        How many of the worst, and of the best.

    Returns
    -------
    IPython.display.HTML
        Each picture says whether it is right, if anybody judged it.
    """
    values = evaluation.values["average precision"].dropna()
    worst = values.nsmallest(each).index
    best = values.drop(worst).nlargest(each).index
    parts = []
    for words, queries in (("The worst", worst), ("The best", best)):
        parts += [f"<h4>{words}, by average precision</h4>"]
        parts += [_answer(evaluation, judgements, query) for query in queries]
    return HTML("".join(parts))


def _answer(evaluation: Evaluation, judgements: Judgements, query: int) -> str:
    found, pool = nearest(evaluation, judgements, query, _SHOWN), judgements.pool
    marks = [_MARKED[judgements.verdict(query, place)] for place in found]
    names = [isolated(pool.labels[place] or pool.filepaths[place]) for place in found]
    captions = [f"{mark}\n{name}" for mark, name in zip(marks, names, strict=True)]
    value = evaluation.values.loc[query, "average precision"]
    title = f"{isolated(judgements.queries[query])}: average precision {value:.2f}"
    return grid_html(pool.paths(found), captions, _SHOWN, title)
