"""Metrics equal those of ir-measures, and with ties the mean over all orders of the ties."""

import itertools

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import AP, RR, P, R, Rprec, Success, nDCG

from helpers.evaluation.metrics import (
    average_precision,
    measure,
    ndcg,
    precision,
    r_precision,
    rank,
    recall,
    reciprocal_rank,
    success,
)

AT = (1, 5, 10)


def by_ir_measures(scores: np.ndarray, relevant: np.ndarray) -> dict[str, float]:
    run = {"q": {f"d{place}": float(score) for place, score in enumerate(scores)}}
    qrels = {"q": {f"d{place}": int(place in relevant) for place in range(len(scores))}}
    names = {Rprec: "R-precision", AP: "average precision", RR: "reciprocal rank"}
    names |= {Success @ k: f"success at {k}" for k in AT}
    names |= {P @ 10: "precision at 10", R @ 10: "recall at 10", nDCG @ 10: "nDCG at 10"}
    found = ir_measures.calc_aggregate(list(names), qrels, run)
    return {name: found[metric] for metric, name in names.items()}


@pytest.mark.parametrize("pool", [3, 10, 40, 500])
@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
def test_metrics_without_ties_are_those_of_ir_measures(pool, share):
    chance = np.random.default_rng(pool)
    for _ in range(20):
        scores = chance.permutation(pool).astype(float)
        relevant = chance.choice(pool, max(1, int(share * pool)), replace=False)
        assert measure(rank(scores, relevant), AT) == pytest.approx(
            by_ir_measures(scores, relevant), abs=1e-9
        )


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6))
def test_metrics_with_ties_are_the_mean_over_all_their_orders(items):
    scores = np.array([score for score, _ in items], np.float32)
    relevant = np.flatnonzero([right for _, right in items])
    each = []
    for order in itertools.permutations(range(len(items))):
        by_score_then_order = np.lexsort((order, -scores))
        strict = np.empty(len(items))
        strict[by_score_then_order] = -np.arange(len(items))
        each.append(list(measure(rank(strict, relevant), (1, 2, 9)).values()))
    found = list(measure(rank(scores, relevant), (1, 2, 9)).values())
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-12)


def test_many_relevant_items_are_counted_as_few_are():
    """Above some number they are sorted, not counted."""
    scores = np.random.default_rng(0).integers(0, 400, 900).astype(np.float32)
    relevant = np.arange(0, 900, 7)
    ranking = rank(scores, relevant)
    above = (scores[:, None] > scores[relevant]).sum(axis=0)
    assert set(above + 1) <= set(ranking.position)
    assert ranking.chance.sum() == pytest.approx(len(relevant))
    assert ranking.first.sum() == pytest.approx(1)


def test_a_constant_scorer_gets_what_chance_gets():
    pool, relevant = 40, np.array([3, 5, 8, 13])
    found = measure(rank(np.zeros(pool), relevant), (1, 5, 10))
    assert found["R-precision"] == found["precision at 10"] == pytest.approx(4 / 40)
    assert found["recall at 10"] == pytest.approx(10 / 40)
    chance = np.random.default_rng(0)
    each = [measure(rank(chance.random(pool), relevant), (1, 5, 10)) for _ in range(4000)]
    for name, value in found.items():
        assert np.mean([one[name] for one in each]) == pytest.approx(value, abs=0.02), name


def test_copies_of_a_photo_neither_help_nor_harm():
    scores = np.array([0.9, 0.9, 0.1])
    assert success(rank(scores, np.array([0])), 1) == success(rank(scores, np.array([1])), 1) == 0.5
    assert reciprocal_rank(rank(scores, np.array([0]))) == 0.75


def test_more_than_there_are_and_nothing_relevant():
    few = rank(np.array([0.3, 0.2, 0.1]), np.array([1]))
    assert precision(few, 10) == 0.1  # of ten, as its definition says
    assert recall(few, 10) == success(few, 10) == 1
    assert ndcg(few, 10) == pytest.approx(1 / np.log2(3))
    nothing = rank(np.array([0.3, 0.2, 0.1]), np.array([], int))
    for metric in (average_precision, r_precision, reciprocal_rank):
        assert np.isnan(metric(nothing))
    for metric in (precision, recall, success, ndcg):
        assert np.isnan(metric(nothing, 2))


def test_the_definitions_on_an_example_by_hand():
    ranking = rank(np.array([5, 4, 3, 2, 1.0]), np.array([0, 2, 4]))
    assert r_precision(ranking) == pytest.approx(2 / 3)
    assert average_precision(ranking) == pytest.approx((1 / 1 + 2 / 3 + 3 / 5) / 3)
    assert reciprocal_rank(ranking) == 1
    assert ndcg(ranking, 3) == pytest.approx((1 + 0.5) / (1 + 1 / np.log2(3) + 0.5))
    assert ranking.relevant == 3
