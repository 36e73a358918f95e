import numpy as np
import pandas as pd
import pytest

from helpers import Query, draw_demo_images, list_images
from helpers.encoding import unit_vectors
from helpers.query.logic import Logic
from helpers.query.queries import BAD, GOOD, parse

from .benchmarks import feedback, gaps
from .benchmarks.possible import Impossible, refuse


@pytest.fixture(scope="module")
def few(tmp_path_factory, tiny):
    """A table of 100 drawings, and their vectors."""
    folder = tmp_path_factory.mktemp("few")
    rows = draw_demo_images(folder, n=100)
    return rows, tiny.encode_images([folder / name for name in rows["filepath"]])


def test_our_way_is_what_a_search_with_thumbs_does(tiny, drawings):
    paths = list_images(drawings)
    images = tiny.encode_images(paths)
    way = feedback.ways(tiny, images)["good means on one scale, bad ones by logic (ours)"]
    assert way.weights == (GOOD, BAD)
    words = tiny.encode_texts(["a star"])[0]
    for good, bad in ((slice(3), slice(20, 25)), (slice(0), slice(4)), (slice(2), slice(0))):
        query = Query(["a star"]).with_feedback(paths[good], paths[bad])
        asked = Logic.of(parse(query), tiny, None, images, {})
        scores = way.scores(words, images[good], images[bad], images)
        assert np.corrcoef(scores, asked.ranking(images))[0, 1] == pytest.approx(1, abs=1e-5)


def test_what_was_judged_is_not_found_again():
    images = unit_vectors(np.random.default_rng(0).normal(size=(30, 8)))
    plain = feedback.Scale()
    way = feedback.Way(plain, plain, (1, 1))
    everything = feedback.Target("", np.arange(30), True)
    nothing = feedback.Target("", np.arange(0), True)
    ten = feedback.Target("", np.argsort(-images @ images[0])[:10], True)
    assert feedback.judge(everything, images[0], images, way) == [1, 1, 1]
    assert feedback.judge(nothing, images[0], images, way) == [0, 0, 0]
    assert feedback.judge(ten, images[0], images, way) == [1, 0, 0]


def test_nobody_has_in_mind_just_what_they_type(few):
    rows, _ = few
    asked = list(feedback.targets(rows))
    assert {target.is_half for target in asked} == {True, False}
    for target in asked:
        assert 0 < len(target.wanted) < len(rows)
        shown = rows.loc[target.wanted, ["colour", "object", "count"]]
        assert (shown.nunique() == 1).sum() >= 2


def test_a_pair_of_vague_queries_for_one_target_is_in_one_half(few):
    rows, _ = few
    halves = pd.DataFrame(
        [(tuple(target.wanted), target.is_half) for target in feedback.targets(rows)],
        columns=["wanted", "half"],
    )
    pairs = halves.groupby("wanted")["half"].agg(["size", "nunique"])
    assert (pairs["size"] == 2).any()
    assert (pairs.loc[pairs["size"] == 2, "nunique"] == 1).all()


def test_texts_are_as_far_away_as_is_said(tiny, few):
    moved, apart = gaps.Moved(tiny), gaps.Apart(tiny)
    texts = ["a star", "a fish", "two blue birds"]
    plain = tiny.encode_texts(texts)
    assert (moved.encode_texts(texts) @ moved.encode_texts(texts).T).min() > 0.7
    own = apart.encode_texts(texts)
    assert np.allclose(own[:, : tiny.dim], plain / np.hypot(1, gaps.APART), atol=1e-5)
    assert np.allclose(np.linalg.norm(own, axis=1), 1, atol=1e-5)


def test_the_report_has_a_table_for_each_gap(tiny, few):
    rows, images = few
    lines = "\n".join(feedback.report(tiny, rows, images)).splitlines()
    for name in gaps.situations(tiny, images):
        assert any(line.startswith(f"| {name} | weights |") for line in lines)
    tables = [line.count("|") for line in lines if line.startswith("| means")]
    assert tables
    assert set(tables) == {7}


@pytest.mark.parametrize(
    ("precisions", "complaint"),
    [
        ([[0.2, 1.2, 0]], "a way: a precision is 1.2, and has to be from 0 to 1"),
        ([[0.2, -0.1, 0]], "a precision is -0.1"),
        ([[0.2, float("nan"), 0]], "a precision is nan"),
        ([[0.2, 0.5, 0.5]], "a way: pictures for 'a bird': 12 found, and there are 10"),
        ([[0.3, 0.2, 0.2]], "the first page differs from that without thumbs"),
        (np.empty((0, 3)), "a way: targets: 0 were done, and 1 claimed"),
    ],
)
def test_precisions_that_cannot_be_are_refused(precisions, complaint):
    asked = [feedback.Target("a bird", np.arange(10), True)]
    none = np.array([[0.2, 0.1, 0.1]])
    refuse(feedback.impossible("a way", asked, none, none))
    with pytest.raises(Impossible, match=complaint):
        refuse(feedback.impossible("a way", asked, np.array(precisions), none[: len(precisions)]))


def test_a_gap_that_cannot_be_is_refused(tiny, few):
    measured = feedback.gap([feedback.Target("a bird", np.arange(10), True)], tiny, few[1])
    refuse(feedback.impossible_gap("the demo", measured))
    for what, value in [("distance of the means", "2.50"), ("of images", "-0.1")]:
        with pytest.raises(Impossible, match=f"the demo: {what} is "):
            refuse(feedback.impossible_gap("the demo", measured | {what: value}))
    impossible = measured["of the ten"]._replace(mean=1.5)
    with pytest.raises(Impossible, match=r"the demo: of the ten is 1\.5, and has to be"):
        refuse(feedback.impossible_gap("the demo", measured | {"of the ten": impossible}))


def test_the_report_is_refused_if_somebody_finds_more_than_there_is(tiny, few, monkeypatch):
    rows, images = few
    monkeypatch.setattr(feedback, "judge", lambda *_: [0.9, 0.9, 0.9])
    with pytest.raises(Impossible, match="27 found, and there are"):
        list(feedback.report(tiny, rows, images))
