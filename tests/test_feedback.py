import numpy as np
import pandas as pd
import pytest

from helpers import Query, draw_demo_images, list_images
from helpers.query.queries import BAD, GOOD, parse
from helpers.vectors import unit_vectors

from .benchmarks import feedback


@pytest.fixture(scope="module")
def few(tmp_path_factory, tiny):
    """A table of 100 drawings, and their vectors."""
    folder = tmp_path_factory.mktemp("few")
    rows = draw_demo_images(folder, n=100)
    return rows, tiny.encode_images([folder / name for name in rows["filepath"]])


def test_our_way_is_what_a_search_with_thumbs_does(tiny, drawings):
    paths = list_images(drawings)
    images = tiny.encode_images(paths)
    query = Query(["a star"]).with_feedback(paths[:3], paths[20:25])
    asked = parse(query).scaled(tiny, None, images).vector(tiny)
    way = feedback.ways(tiny, images)["means, on one scale (ours)"]
    vector = way.vector(tiny.encode_texts(["a star"])[0], images[:3], images[20:25])
    assert way.weights == (GOOD, BAD)
    assert unit_vectors(vector) @ asked == pytest.approx(1, abs=1e-4)


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
    moved, apart = feedback.Moved(tiny), feedback.Apart(tiny)
    texts = ["a star", "a fish", "two blue birds"]
    plain = tiny.encode_texts(texts)
    assert (moved.encode_texts(texts) @ moved.encode_texts(texts).T).min() > 0.7
    own = apart.encode_texts(texts)
    assert np.allclose(own[:, : tiny.dim], plain / np.hypot(1, feedback.APART), atol=1e-5)
    assert np.allclose(np.linalg.norm(own, axis=1), 1, atol=1e-5)


def test_the_report_has_a_table_for_each_gap(tiny, few):
    rows, images = few
    lines = "\n".join(feedback.report(tiny, rows, images)).splitlines()
    for name in feedback.situations(tiny, images):
        assert any(line.startswith(f"| {name} | weights |") for line in lines)
    tables = [line.count("|") for line in lines if line.startswith("| means")]
    assert tables
    assert set(tables) == {7}
