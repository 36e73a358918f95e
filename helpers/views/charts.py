"""Charts: the cosines of texts and images as a heat map."""

import os
import warnings
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from ..images.thumbnails import thumbnail

__all__ = ["place_picture", "shortened", "similarity_heatmap"]

warnings.filterwarnings("ignore", "Glyph .* missing from")  # a box for a letter is good enough


def similarity_heatmap(
    similarities: np.ndarray, texts: Sequence[str], paths: Sequence[str | os.PathLike]
) -> Figure:
    """Draw the cosines of texts (rows) and images (columns), with the images above.

    Parameters
    ----------
    similarities : ndarray, shape (len(texts), len(paths))
    texts : sequence of str
        Long ones are cut.
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
    axes.set_yticks(range(rows), map(shortened, texts), parse_math=False)
    axes.set_xticks([])
    for column, path in enumerate(paths):
        place_picture(axes, path, (column, -0.55), zoom=0.33, alignment=(0.5, 0))
    figure.colorbar(picture, ax=axes, label="cosine")
    plt.close(figure)  # a notebook shows what the cell returns, and only that
    return figure


def shortened(text: str, longest: int = 28) -> str:
    """Return a text on one line, cut to so many characters."""
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


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
