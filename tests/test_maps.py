import io

import matplotlib
import numpy as np
import pytest
from matplotlib.text import Text

from helpers import embedding_map, list_images, project


@pytest.fixture(autouse=True)
def no_window():
    matplotlib.use("agg")


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


@pytest.mark.parametrize("others", [0, 1, 2, 30])
@pytest.mark.parametrize("noise", [0, 1e-7, 1e-4])
def test_copies_of_an_image_lie_together(others, noise):
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(1, 8)), 30, axis=0)
    vectors = np.concatenate([vectors, rng.normal(size=(others, 8))]).astype(np.float32)
    places = project(vectors + rng.normal(scale=noise, size=vectors.shape).astype(np.float32))
    assert np.isfinite(places).all()
    assert 0 <= places.min() <= places.max() <= 1


def test_a_query_stands_among_its_best_images(drawings):
    paths = list_images(drawings)
    places = np.random.default_rng(0).random((len(paths), 2)).astype(np.float32)
    similarities = np.zeros((1, len(paths)))
    similarities[0, :3] = 1
    figure = embedding_map(places, paths, ["the query"], similarities, neighbours=3)
    note = next(t for t in figure.axes[0].texts if t.get_text() == "the query")
    assert np.allclose(note.xy, np.median(places[:3], axis=0))


@pytest.mark.parametrize("number", [1, 5, 90])
def test_no_label_covers_another_or_the_map(number, drawings):
    paths = list_images(drawings)
    places = np.full((len(paths), 2), 0.99, np.float32)  # all queries point to one corner
    texts = [f"$query$ {n}\n" + "with a long text " * (n % 4) for n in range(number)]
    axes = embedding_map(places, paths, texts, np.ones((number, len(paths)))).axes[0]
    axes.figure.savefig(io.BytesIO())  # only drawing places them
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # without their lines
    assert len(boxes) == number
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in [axes.bbox, *boxes[:index]])
    assert max(len(text.get_text()) for text in axes.texts) <= 28


def test_a_picture_that_is_gone_is_left_out(drawings, tmp_path):
    paths = [list_images(drawings)[0], tmp_path / "gone.jpg"]
    figure = embedding_map(np.array([[0.1, 0.1], [0.9, 0.9]]), paths, [], np.zeros((0, 2)))
    assert len(figure.axes[0].artists) == 1
