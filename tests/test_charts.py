import matplotlib
import numpy as np
import pandas as pd
import pytest

from helpers import (
    confusion_heatmap,
    list_images,
    margin_histograms,
    roc_chart,
    similarity_heatmap,
    zero_shot,
)
from helpers.evaluation.judgements import from_labels


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


def test_a_dollar_in_a_label_is_no_formula(drawings):
    paths = list_images(drawings)[:2]
    figure = similarity_heatmap(np.eye(2), ["$\\frac$", "a"], paths, ["$\\frac$", "$5 off$"])
    figure.canvas.draw()
    assert [each.get_text() for each in figure.axes[0].get_xticklabels()] == ["$\\frac$", "$5 off$"]


def test_the_confusions_are_shown_with_a_picture_of_each_class(ingested, encoder):
    judgements = from_labels(ingested)
    recognised = zero_shot(judgements, encoder)
    axes = confusion_heatmap(recognised, judgements).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [label.get_text() for label in axes.get_xticklabels()]
    assert sorted(names) == list(judgements.queries)
    assert len(axes.artists) == 5
    most = recognised.confusions().iloc[0]
    row, column = (names.index(recognised.classes[most[end]]) for end in ("class", "taken for"))
    assert axes.images[0].get_array()[row, column] == pytest.approx(most["images"] / 10)
    few = confusion_heatmap(recognised, judgements, most=2).axes[0]
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
