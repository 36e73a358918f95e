"""Intervals hold the truth about 95 times in 100; comparisons are made in pairs."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from helpers.evaluation.figures import UNKNOWN, area_interval, difference, interval, total

KINDS = {
    "uniform": (lambda chance, n: chance.random(n), 0.5),
    "U-shaped": (lambda chance, n: chance.beta(0.5, 0.5, n), 0.5),
    "skewed": (lambda chance, n: chance.beta(5, 0.5, n), 5 / 5.5),
    "a hit rate of 0.97": (lambda chance, n: (chance.random(n) < 0.97) * 1.0, 0.97),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_interval_over_50_queries_holds_the_truth_95_times_in_100(kind):
    draw, truth = KINDS[kind]
    chance = np.random.default_rng(1)
    held = np.mean([interval(draw(chance, 50)).holds(truth) for _ in range(1000)])
    assert 0.92 <= held <= 0.97


def test_the_captions_of_one_photo_count_as_one_when_they_agree():
    """Five captions of each of 50 photos, all right or all wrong: 250 values, and 50 that count."""
    chance = np.random.default_rng(0)
    groups = np.repeat(np.arange(50), 5)
    held, held_without = [], []
    for _ in range(400):
        rates = np.repeat((chance.random(50) < 0.6) * 1.0, 5)
        held.append(interval(rates, groups).holds(0.6))
        held_without.append(interval(rates).holds(0.6))
    assert 0.92 <= np.mean(held) <= 0.98
    assert np.mean(held_without) < 0.75
    independent = (np.random.default_rng(0).random(250) < 0.6) * 1.0
    with_groups, without = interval(independent, groups), interval(independent)
    assert with_groups.high - with_groups.low == pytest.approx(without.high - without.low, rel=0.2)


def test_means_of_groups_are_bootstrapped_by_group():
    chance = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    held = []
    for _ in range(400):
        values = np.repeat(chance.random(40), 5) * 0.8 + 0.2 * chance.random(200)
        held.append(interval(values, groups).holds(0.5))
    assert 0.92 <= np.mean(held) <= 0.98


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (7, 10), (97, 100), (100, 100)])
def test_a_rate_has_wilsons_interval(hits, n):
    found = interval([1] * hits + [0] * (n - hits))
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert found[:3] == pytest.approx((hits / n, expected.low, expected.high))
    assert found.n == n


def test_what_is_not_known_is_left_out_and_nothing_has_no_interval():
    assert interval([1, 0, np.nan, 1]).n == 3
    assert np.isnan(interval([np.nan]).mean)
    assert np.isnan(interval([]).low)
    assert UNKNOWN.range == ""
    one = interval([0.4])
    assert (one.mean, one.range) == (0.4, "")
    assert str(interval([0.5] * 12)) == "0.500 (0.500 to 0.500)"


@pytest.mark.parametrize("n", [2, 3, 5, 9])
def test_few_values_have_wide_intervals(n):
    chance = np.random.default_rng(0)
    held = [interval(chance.random(n)).holds(0.5) for _ in range(600)]
    alarms = [not difference(chance.random(n), chance.random(n)).holds(0) for _ in range(600)]
    assert np.mean(held) > 0.9
    assert np.mean(alarms) < 0.09


def test_where_no_interval_is_known_nothing_is_ruled_out():
    for found in (interval([0.4]), interval([0.9, 0.9]), difference([0.4], [0.4]), UNKNOWN):
        assert found.range == ""
        assert found.holds(0)
    assert interval([1, 1]).range  # a rate


@pytest.mark.parametrize("hits", [3, 4, 5])
def test_groups_that_are_all_alike_count_as_their_values(hits):
    """The same sums up to the last bit, or exactly: the interval is the same."""
    groups = np.repeat(np.arange(10), 49)
    found = interval(np.tile([1] * hits + [0] * (49 - hits), 10), groups)
    assert 0.04 < found.high - found.low < 0.07
    values = np.tile([1] * 90 + [0] * 10, 10)
    alike = interval(values, np.repeat(np.arange(10), 100))
    values[95] = 1
    nearly = interval(values, np.repeat(np.arange(10), 100))
    assert alike[1:3] == pytest.approx(nearly[1:3], abs=0.01)


@pytest.mark.parametrize("classes", [2, 3, 5, 10, 30])
def test_the_images_of_few_classes_say_little_about_others(classes):
    chance = np.random.default_rng(0)
    groups = np.repeat(np.arange(classes), 20)
    held = []
    for _ in range(300):
        rates = chance.beta(4, 1, classes)  # 0.8 on average
        hits = (chance.random((classes, 20)) < rates[:, None]) * 1.0
        held.append(interval(hits.ravel(), groups).holds(0.8))
    assert np.mean(held) > 0.9


def test_a_tie_leaves_a_rate_a_rate():
    assert interval([1] * 99 + [0.5]).low == pytest.approx(interval([1] * 99 + [1]).low, abs=0.02)
    assert interval([1] * 99 + [0.5]).low < 0.96


def test_the_area_knows_what_belongs_together():
    """Five captions of each of 20 photos, quite alike: the interval holds the truth."""
    chance = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 5).tolist()
    held = []
    for _ in range(200):
        shown, not_shown = (
            np.repeat(chance.normal(mean, 0.84, 20), 5) + chance.normal(0, 0.55, 100)
            for mean in (1, 0)
        )
        held.append(area_interval(shown, not_shown, (groups, groups)).holds(0.76))
    assert np.mean(held) > 0.88


def test_the_interval_of_very_many_values_is_that_of_the_bootstrap():
    values = np.random.default_rng(0).beta(0.5, 2, 10_001)
    many, nearly = interval(values), interval(values[:10_000])
    assert many[:3] == pytest.approx(nearly[:3], abs=2e-3)


def test_pairs_see_a_difference_that_two_means_do_not():
    chance = np.random.default_rng(0)
    base = chance.random(60)
    better = base + 0.02 + 0.01 * chance.standard_normal(60)
    assert interval(base).holds(interval(better).mean)
    assert difference(better, base).low > 0
    assert difference(base, better).high < 0
    assert difference(base, base).holds(0)


def test_a_difference_of_rates_is_seen_no_sooner_than_it_should():
    """By McNemar's exact test, 4 to 0 of 50 has p = 0.125, 8 to 0 has 0.008."""
    base = np.zeros(50)
    for gained, seen in ((0, False), (4, False), (8, True)):
        other = (np.arange(50) < gained) * 1.0
        found = difference(other, base)
        assert found.mean == pytest.approx(gained / 50)
        assert found.holds(0) != seen
    chance = np.random.default_rng(0)
    false_alarms = 0
    for _ in range(1000):
        both = chance.random((2, 50)) < 0.9
        false_alarms += not difference(*(both * 1.0)).holds(0)
    assert 0.01 < false_alarms / 1000 < 0.07


def test_the_area_is_that_of_scikit_learn_and_its_interval_holds_it():
    chance = np.random.default_rng(0)
    held = []
    for _ in range(300):
        present, absent = chance.normal(1, 1, 40), chance.normal(0, 1, 40)
        found = area_interval(present, absent, (range(40), range(40, 80)))
        held.append(found.holds(0.7602))  # of these two distributions: Phi(1 / sqrt 2)
    labels = [1] * 40 + [0] * 40
    assert found.mean == pytest.approx(roc_auc_score(labels, [*present, *absent]))
    assert 0.91 <= np.mean(held) <= 0.98


def test_the_area_lies_in_its_interval_and_a_hair_within_each_group_is_no_proof():
    chance = np.random.default_rng(0)
    for size in (10, 50, 200):
        absent, groups = chance.normal(size=size), (range(size), range(size))
        found = area_interval(absent + 1e-9, absent, groups)  # the same but for that
        assert found.mean == pytest.approx(0.5 + 0.5 / size)
        assert found.low <= found.mean <= found.high
        assert found.high - 0.5 < 0.7 / size  # the pairs within a group weigh what they did
    for _ in range(50):
        present, absent = chance.integers(3, size=(2, 4))
        found = area_interval(present, absent, (range(4), range(4)))
        assert found.low <= found.mean <= found.high


@pytest.mark.parametrize(
    ("missed", "false", "n"), [(0.5, 0.5, 20), (0.1, 0.1, 50), (0.03, 0.2, 20)]
)
def test_the_sum_of_two_rates_lies_in_its_interval(missed, false, n):
    chance = np.random.default_rng(0)
    held = {True: 0, False: 0}
    for _ in range(1000):
        first = chance.random(n)
        for opposed in held:  # one is wrong where the other is right, as with one threshold
            second = 1 - first if opposed else chance.random(n)
            both = total(interval(first < missed), interval(second < false))
            held[opposed] += both.holds(missed + false)
            assert both.low <= both.mean <= both.high
    assert 0.93 < held[False] / 1000 < 0.99
    assert held[True] >= held[False] - 10


def test_a_perfect_area_is_not_quite_sure():
    present, absent = np.array([2.0, 3, 4, 5, 6]), np.array([0.0, 1, 1, 1])
    found = area_interval(present, absent, (range(5), range(5, 9)))
    assert (found.mean, found.high) == (1, 1)
    assert 0.4 < found.low < 0.6
