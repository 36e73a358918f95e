import matplotlib
import numpy as np
import pytest

from helpers import list_images, similarity_heatmap


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
