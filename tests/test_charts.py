import matplotlib
import numpy as np
import pandas as pd
import pytest

from helpers import embedding_map, list_images, similarity_heatmap
from helpers.views.charts import margin_histograms, project


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


def test_neighbours_stay_neighbours_on_the_plane():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(6, 32))
    groups = np.repeat(np.arange(6), 8)
    vectors = centres[groups] + 0.05 * rng.normal(size=(48, 32))
    places = project(vectors)
    assert places.shape == (48, 2)
    assert places.min() >= 0
    assert places.max() <= 1
    distances = np.linalg.norm(places[:, None] - places, axis=2) + 9 * np.eye(48)
    assert (groups[distances.argmin(axis=1)] == groups).mean() > 0.99
    assert np.array_equal(places, project(vectors))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_a_few_vectors_can_be_projected_too(count):
    places = project(np.random.default_rng(0).normal(size=(count, 8)))
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()
    assert places.min() >= 0
    assert places.max() <= 1


def test_a_query_stands_among_its_best_images(drawings):
    paths = list_images(drawings)
    places = np.random.default_rng(0).random((len(paths), 2)).astype(np.float32)
    similarities = np.zeros((1, len(paths)))
    similarities[0, :3] = 1
    figure = embedding_map(places, paths, ["the query"], similarities, neighbours=3)
    note = next(t for t in figure.axes[0].texts if t.get_text() == "the query")
    assert np.allclose(note.xy, np.median(places[:3], axis=0))


def test_a_picture_that_is_gone_is_left_out(drawings, tmp_path):
    paths = [list_images(drawings)[0], tmp_path / "gone.jpg"]
    figure = embedding_map(np.array([[0.1, 0.1], [0.9, 0.9]]), paths, [], np.zeros((0, 2)))
    assert len(figure.axes[0].artists) == 1


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
