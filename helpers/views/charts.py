"""Charts: cosines and mistakes as heat maps; margins as histograms and as a ROC curve."""

import os
import warnings
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from sklearn.metrics import roc_auc_score, roc_curve

from ..evaluation.judgements import Judgements
from ..evaluation.measuring import ZeroShot
from ..images.gallery import shortened, thumbnail

warnings.filterwarnings("ignore", "Glyph .* missing from")  # a box for a letter is good enough


def similarity_heatmap(
    similarities: np.ndarray,
    texts: Sequence[str],
    paths: Sequence[str | os.PathLike],
    names: Sequence[str] = (),
    measure: str = "cosine",
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
    axes.set_xticks(
        range(len(names)), map(shortened, names), rotation=30, ha="right", parse_math=False
    )
    for column, path in enumerate(paths):
        place_picture(axes, path, (column, -0.55), zoom=0.33, alignment=(0.5, 0))
    figure.colorbar(picture, ax=axes, label=measure)
    plt.close(figure)  # a notebook shows what the cell returns, and only that
    return figure


def confusion_heatmap(zero_shot: ZeroShot, judgements: Judgements, most: int = 8) -> Figure:
    """Draw which classes are taken for which, with a picture of each.

    Each row is a class, each column what its images were taken for, as shares of its images. The
    classes are those of the most frequent confusions, and if there are few, the first ones.

    Parameters
    ----------
    zero_shot : ZeroShot
    judgements : Judgements
        Those that it was made with.
    most : int
        How many classes at most.

    Returns
    -------
    matplotlib.figure.Figure
    """
    wrong = zero_shot.confusions()[["class", "taken for"]].head(most).to_numpy()
    places = dict.fromkeys([*wrong.flat, *np.unique(zero_shot.own)])
    chosen = [place for place in places if len(judgements.relevant[place])][:most]
    names = [zero_shot.classes[place] for place in chosen]
    examples = [int(judgements.relevant[place][0]) for place in chosen]
    return similarity_heatmap(
        zero_shot.shares(chosen),
        names,
        judgements.pool.paths(examples),
        names,
        measure="share of the row's images",
    )


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
    figure, grid = plt.subplots(
        len(absent), figsize=(8, 2.5 * len(absent)), sharex=True, squeeze=False
    )
    present = judged["margin"][judged["kind"] == "present"]
    for axes, kind in zip(grid[:, 0], absent, strict=True):
        others = judged["margin"][judged["kind"] == kind]
        axes.hist(others, bins, alpha=0.7, label=kind, color="grey")
        axes.hist(present, bins, alpha=0.7, label="present", color="seagreen")
        title = f"present or {kind}: area {_area(present, others):.3f}"
        if threshold is not None:
            axes.axvline(threshold, color="crimson", label="matches begin")
            wrong = f"{(present < threshold).mean():.1%} and {(others >= threshold).mean():.1%}"
            title += f", misjudged {wrong}"
        axes.set_title(title)
        axes.set_ylabel("queries")
        axes.legend()
    grid[-1, 0].set_xlabel("largest margin")
    figure.tight_layout()
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
    figure, axes = plt.subplots(figsize=(4.6, 4.2))
    if len(found) and len(others):
        wrong, right, _ = roc_curve(present, judged["margin"])
        axes.plot(wrong, right, color="seagreen", label=f"area {_area(found, others):.3f}")
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="chance")
    if threshold is not None:
        here = (others >= threshold).mean(), (found >= threshold).mean()
        axes.plot(*here, "o", color="crimson", label=f"margin {threshold:.1f}")
    axes.set(xlabel="called a match, of what is not shown", ylabel="called a match, of what is")
    axes.set_title("ROC curve of the judged half")
    axes.legend(loc="lower right")
    figure.tight_layout()
    plt.close(figure)
    return figure


def _area(present: pd.Series, absent: pd.Series) -> float:
    if not len(present) or not len(absent):
        return float("nan")
    return float(roc_auc_score([1] * len(present) + [0] * len(absent), [*present, *absent]))


def place_picture(
    axes: Axes,
    path: str | os.PathLike,
    place: tuple[float, float],
    zoom: float,
    alignment: tuple[float, float] = (0.5, 0.5),
) -> None:
    """Draw a thumbnail at a place of the axes; leave out what cannot be read."""
    try:
        image = OffsetImage(np.asarray(thumbnail(path)), zoom=zoom)
    except OSError:
        return
    box = AnnotationBbox(
        image, place, frameon=False, box_alignment=alignment, pad=0, annotation_clip=False
    )
    axes.add_artist(box)
