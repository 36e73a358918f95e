"""Charts, the map of a collection, and the best and the worst answers as pictures."""

import io
from dataclasses import replace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from helpers import (
    best_and_worst,
    confusion_heatmap,
    embedding_map,
    evaluate,
    list_images,
    margin_histograms,
    project,
    roc_chart,
    similarity_heatmap,
    zero_shot,
)
from helpers.evaluation.judgements import from_csv, from_labels


@pytest.fixture(autouse=True)
def no_window():
    matplotlib.use("agg")


@pytest.fixture(scope="module")
def judgements(ingested):
    return from_labels(ingested)


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


def test_a_dollar_in_a_label_is_no_formula(drawings):
    paths = list_images(drawings)[:2]
    figure = similarity_heatmap(np.eye(2), ["$\\frac$", "a"], paths, ["$\\frac$", "$5 off$"])
    figure.canvas.draw()
    assert [each.get_text() for each in figure.axes[0].get_xticklabels()] == ["$\\frac$", "$5 off$"]


def test_the_confusions_are_shown_with_a_picture_of_each_class(judgements, encoder):
    found = zero_shot(judgements, encoder)
    axes = confusion_heatmap(found, judgements).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [label.get_text() for label in axes.get_xticklabels()]
    assert sorted(names) == list(judgements.queries)
    assert len(axes.artists) == 5
    pairs = found.values[["own", "taken for"]].value_counts() / 10  # images of each class
    for own, row in enumerate(map(names.index, judgements.queries)):
        for other, column in enumerate(map(names.index, judgements.queries)):
            share = axes.images[0].get_array()[row, column]
            assert share == pytest.approx(pairs.get((own, other), 0))
    few = confusion_heatmap(found, judgements, most=2).axes[0]
    assert few.images[0].get_array().shape == (2, 2)


def test_without_confusions_the_first_classes_are_shown(drawings, tiny, store):
    from helpers import ingest

    ingest(drawings, tiny, store, progress=False)
    judgements = from_labels(store)
    axes = confusion_heatmap(zero_shot(judgements, tiny), judgements, most=3).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), np.eye(3))


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


def test_the_roc_curve_marks_the_threshold():
    margins = [4.0, 4.5, 5.0, 2.0, 1.0, 2.5, 3.5, 1.5]
    judged = pd.DataFrame({"kind": ["present"] * 4 + ["absent"] * 4, "margin": margins})
    axes = roc_chart(judged, threshold=3.0).axes[0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["area 0.875", "chance", "margin 3.0"]
    curve, chance, here = axes.lines
    assert (here.get_xdata()[0], here.get_ydata()[0]) == (0.25, 0.75)
    assert curve.get_ydata()[-1] == chance.get_ydata()[-1] == 1


@pytest.mark.parametrize("kinds", [[], ["present"] * 3, ["absent"] * 3])
def test_charts_of_too_few_queries_are_empty_and_no_error(kinds):
    judged = pd.DataFrame({"kind": kinds, "margin": np.arange(len(kinds), dtype=float)})
    assert roc_chart(judged, None).axes
    assert margin_histograms(judged, None).axes


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


def test_the_worst_and_the_best_queries_show_their_first_pictures(judgements, encoder):
    evaluation = evaluate(judgements, encoder)
    page = best_and_worst(evaluation, judgements, each=2).data
    assert page.count("<img ") == 4 * 5
    values = evaluation.values.set_index("query")["average precision"].sort_values()
    for query in [*values.index[:2], *values.index[-2:]]:
        assert f"{query}: average precision {values[query]:.2f}" in page
    assert page.index(values.index[0]) < page.index(f"{values.index[-1]}: ")
    assert page.count("✓ right") + page.count("✗ wrong") == 20
    assert "cannot be read" not in page


def test_few_queries_are_shown_once(judgements, encoder):
    page = best_and_worst(evaluate(judgements, encoder), judgements, each=4).data
    assert page.count("<img ") == 5 * 5


def test_a_picture_that_nobody_judged_says_so(judgements, ingested, encoder, tmp_path):
    names = judgements.pool.filepaths
    path = tmp_path / "judged.csv"
    path.write_text(f"query,filepath,relevant\nit,{names[0]},1\nit,{names[1]},0\n")
    judged = from_csv(ingested, path)
    page = best_and_worst(evaluate(judged, encoder), judged).data
    assert page.count("? not judged") + page.count("✓ right") + page.count("✗ wrong") == 5
    assert page.count("? not judged") >= 3


def test_labels_and_names_are_escaped(judgements, encoder):
    odd = replace(judgements, queries=["<b>$x$</b>", *judgements.queries[1:]])
    evaluation = evaluate(odd, encoder)
    page = best_and_worst(evaluation, odd, each=5).data
    assert "<b>$x$</b>" not in page
    assert "&lt;b&gt;$x$&lt;/b&gt;" in page
