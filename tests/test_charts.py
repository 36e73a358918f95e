import matplotlib
import numpy as np
import pandas as pd
import pytest

from helpers import list_images, margin_histograms, similarity_heatmap


@pytest.fixture(autouse=True)
def no_window():
    matplotlib.use("agg")


def test_the_heat_map_shows_every_cosine_and_text(drawings):
    similarities = np.array([[0.31, 0.12, 0.2], [0.15, 0.28, 0.1]])
    figure = similarity_heatmap(similarities, ["first", "second"], list_images(drawings)[:3])
    axes = figure.axes[0]
    written = " ".join(text.get_text() for text in axes.texts)
    assert written == "0.31 0.12 0.20 0.15 0.28 0.10"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["first", "second"]
    assert len(axes.artists) == 3
    assert np.array_equal(axes.images[0].get_array(), similarities)
    assert not matplotlib.pyplot.get_fignums()


def test_the_histograms_say_how_well_margins_tell_apart():
    kinds = ["present"] * 4 + ["absent class"] * 4 + ["unseen word"] * 2
    margins = [4.0, 4.5, 5.0, 2.0, 1.0, 2.5, 3.5, 1.5, 0.5, 0.6]
    judged = pd.DataFrame({"kind": kinds, "margin": margins})
    figure = margin_histograms(judged, threshold=3.0)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        "present or absent class: area 0.875, misjudged 25.0% and 25.0%",
        "present or unseen word: area 1.000, misjudged 25.0% and 0.0%",
    ]
    drawn = [sum(bar.get_height() for bar in axes.patches) for axes in figure.axes]
    assert drawn == [8, 6]
    assert not matplotlib.pyplot.get_fignums()
