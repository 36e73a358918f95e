"""Evaluations: every query against every image; floors on what the demo promises."""

import json

import numpy as np
import pandas as pd
import pytest

from helpers import search
from helpers.evaluation import measuring
from helpers.evaluation.judgements import (
    Judgements,
    Pool,
    from_captions,
    from_labels,
)
from helpers.evaluation.measuring import evaluate, evaluate_captions, shared_mistakes, zero_shot
from helpers.evaluation.metrics import measure, rank


class Words:
    """An encoder whose texts are numbers: each its own axis, or with a plus between, several."""

    def encode_texts(self, texts, templates=("{}",)):
        vectors = np.zeros((len(texts), 8), np.float32)
        for row, text in enumerate(texts):
            vectors[row, [int(axis) for axis in text.split("+")]] = 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def judged(relevant: dict[str, list[int]], vectors, source="class folders", **more) -> Judgements:
    """Return judgements of images called 0.jpg, 1.jpg and so on."""
    names = [f"{place}.jpg" for place in range(len(vectors))]
    pool = Pool(names, [""] * len(names), np.asarray(vectors, np.float32), more.pop("folder", None))
    queries = list(relevant)
    places = [np.array(each, int) for each in relevant.values()]
    return Judgements(source, queries, places, more.pop("groups", queries), pool, **more)


def test_the_demo_is_as_good_as_it_promises(demo_store, tiny):
    """Floors: a change that hurts the search turns this red."""
    judgements = from_labels(demo_store)
    evaluation = evaluate(judgements, tiny)
    assert (len(judgements), evaluation.pool) == (100, 1000)
    for metric in ("R-precision", "average precision", "success at 1", "nDCG at 10"):
        assert evaluation.of(metric).low > 0.9, metric
    assert zero_shot(judgements, tiny).accuracy.low > 0.9
    worse = evaluate(judgements, tiny, ["a photo that has nothing to do with {}"])
    assert worse.of("average precision").high < 0.9  # so the floors say something


def test_the_captions_of_the_demo_find_their_drawings_both_ways(
    demo_store, demo_images, tiny, tmp_path
):
    table = pd.read_csv(demo_images / "captions.csv").drop_duplicates("caption").iloc[::10]
    lines = [{"file": row.filepath, "captions": [row.caption]} for row in table.itertuples()]
    path = tmp_path / "captions.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    judgements = from_captions(demo_store, path)
    assert evaluate(judgements, tiny).of("success at 5").low > 0.8
    turned = evaluate_captions(judgements, tiny)
    assert (turned.pool, len(turned.values)) == (len(table), len(table))
    assert turned.of("success at 5").low > 0.8
    assert zero_shot(judgements, tiny).accuracy.mean == turned.of("success at 1").mean


def test_figures_of_a_model_that_knows_nothing_are_at_chance(ingested, encoder):
    table = evaluate(from_labels(ingested), encoder).table()
    assert (table["compared with chance"] == "no better than chance").all()


def test_an_evaluation_ranks_as_search_does(demo_store, tiny):
    judgements = from_labels(demo_store)
    evaluation = evaluate(judgements, tiny)
    for query in (0, 50):
        hits = search(judgements.queries[query], tiny, demo_store, limit=5)
        places = measuring.nearest(evaluation, judgements, query, 5)
        assert [hit.filepath for hit in hits] == [judgements.pool.filepaths[p] for p in places]


def test_figures_are_the_metrics_of_each_query(monkeypatch):
    monkeypatch.setattr(measuring, "_CELLS", 20)  # so that there are several blocks
    vectors = np.random.default_rng(0).standard_normal((9, 8))
    judgements = judged({str(axis): [axis, 8] for axis in range(8)}, vectors)
    values = evaluate(judgements, Words()).values
    for axis in range(8):
        scores = judgements.pool.vectors[:, axis].round(6)
        expected = measure(rank(scores, np.array([axis, 8])), (1, 5, 10))
        assert values.loc[axis, list(expected)].to_dict() == pytest.approx(expected)
    assert list(values["relevant"]) == [2] * 8


def test_copies_tie_although_their_last_bits_differ():
    vectors = [[0.7, 0.7], [0.7000001, 0.7], [0, 1]]
    vectors = np.pad(np.array(vectors, np.float32), ((0, 0), (0, 6)))
    for right in (0, 1):
        evaluation = evaluate(judged({"0": [right], "1": [2]}, vectors), Words())
        assert evaluation.values["success at 1"][0] == 0.5


def test_queries_with_nothing_to_find_do_not_count_and_are_said():
    evaluation = evaluate(judged({"0": [0], "1": [], "2": [2]}, np.eye(8)), Words())
    assert evaluation.of("average precision")[::3] == (1, 2)
    assert evaluation.of("precision at 10")[::3] == (pytest.approx(0.1), 2)
    assert "2 queries, a pool of 8. 1 query has nothing to find" in evaluation._repr_html_()
    with pytest.raises(ValueError, match="no query"):
        evaluate(judged({"0": [], "1": []}, np.eye(8)), Words())


def test_the_captions_of_a_photo_are_one_group():
    relevant = {"0": [0], "0+1": [0], "0+2": [0], "3": [3], "4+3": [3], "5": [3]}
    judgements = judged(relevant, np.eye(8), "captions", groups=[0, 0, 0, 3, 3, 3])
    assert evaluate(judgements, Words()).groups == [0, 0, 0, 3, 3, 3]
    turned = evaluate_captions(judgements, Words())
    assert list(turned.values["relevant"]) == [3, 3]
    assert list(turned.values["success at 1"]) == [1, 1]
    with pytest.raises(ValueError, match="are not captions"):
        evaluate_captions(judged(relevant, np.eye(8)), Words())


def test_one_query_is_too_few_to_say_anything():
    table = evaluate(judged({"0+1": [0]}, np.eye(8)), Words()).table()
    assert table.loc["average precision", "compared with chance"] == "too few queries"


def test_zero_shot_takes_each_image_for_the_nearest_text(monkeypatch):
    monkeypatch.setattr(measuring, "_CELLS", 8)  # so that there are several blocks
    vectors = np.eye(8)[[0, 0, 1, 2, 2, 3]]
    judgements = judged({"0": [0, 1, 2], "1": [3, 4], "2": [], "3": [5]}, vectors)
    found = zero_shot(judgements, Words())
    assert list(found.images) == list(range(6))
    assert list(found.right) == [1, 1, 0, 0, 0, 1]
    assert list(found.taken_for) == [0, 0, 1, 2, 2, 3]
    assert found.confusions().iloc[0].to_list() == [1, 2, 2]
    np.testing.assert_allclose(found.shares([0, 1, 2]), [[2 / 3, 1 / 3, 0], [0, 0, 1], [0, 0, 0]])
    assert "zero-shot accuracy 0.500" in repr(found)
    assert "6 images, 4 texts" in repr(found)
    assert "chance is 0.250" in repr(found)
    several = judged({"0": [0], "1": [0], "2": [1], "3": [2]}, np.eye(8), "captions")
    assert zero_shot(several, Words()).chance == pytest.approx(4 / (3 * 4))


def test_zero_shot_with_ties_is_right_by_chance():
    found = zero_shot(judged({"0": [0], "1": [1]}, np.zeros((2, 8))), Words())
    assert list(found.right) == [0.5, 0.5]


def test_queries_that_find_the_same_wrong_image_are_named():
    everywhere = np.full(8, 8**-0.5)
    vectors = np.vstack([np.eye(8) * 0.1, everywhere])
    judgements = judged({"0": [0], "1": [1], "2": [2]}, vectors)
    evaluation = evaluate(judgements, Words())
    assert shared_mistakes(evaluation, judgements) == {8: ["0", "1", "2"]}
    same = judged({"0": [0], "1": [1]}, vectors, groups=["one photo"] * 2)
    assert shared_mistakes(evaluate(same, Words()), same) == {}
