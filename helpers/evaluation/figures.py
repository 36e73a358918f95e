"""Figures: how sure each is, and how they are shown as tables.

Each is a mean with a 95 % interval over queries, and comparisons are made in pairs. Another set of
queries would have given other figures. An interval says how far they would be apart by chance.
`tests/test_figures.py` simulates how often it holds the truth.
"""

import html
from collections.abc import Hashable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

_DIGITS = "{:.3f}".format
_TAIL = 0.975  # the quantile of what is not above an interval
_DRAWS = 2000
_FEW = 10  # groups; below, the bootstrap's interval is too narrow
_BATCH = 2_000_000  # values drawn at once
_MOSTLY = 0.9  # of the values, if a few ties are to leave a rate a rate
_MANY = 10_000  # groups; with so many, the bootstrap's interval is the normal one

Groups = Sequence[Hashable] | None
"""Of each value, which others it belongs with; None if all are independent."""


class Interval(NamedTuple):
    """A mean over `n` values, and the 95 % interval around it; NaN where nothing is known."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.range})"

    @property
    def range(self) -> str:
        """The interval in words; empty if none is known, as of a few values that are the same."""
        return "" if np.isnan(self.low) else f"{self.low:.3f} to {self.high:.3f}"

    def holds(self, value: float) -> bool:
        """Return whether a value may be the true one; any may, where no interval is known."""
        return not (value < self.low - 1e-9 or value > self.high + 1e-9)

    def beside(self, value: float, same: str) -> str:
        """Return in words how the mean compares with a value; `same` says that both may be one."""
        if not self.range:
            return "too few queries"
        if self.holds(value):
            return same
        return "better" if self.mean > value else "worse"


UNKNOWN = Interval(np.nan, np.nan, np.nan, 0)
"""Of no values."""


def interval(values: npt.ArrayLike, groups: Groups = None) -> Interval:
    """Return the mean of the values of queries, with its 95 % interval.

    A rate (nearly all values are 0 or 1, the others are between) gets Wilson's interval, which is
    right where the bootstrap is not: at a hit rate of 0.97, the bootstrap's holds the truth 80
    times in 100. Other means get the percentile bootstrap, widened as for Student's t (Hesterberg
    2015, "What Teachers Should Know About the Bootstrap", https://arxiv.org/abs/1411.5279, section
    5.3), or with fewer than ten groups Student's own; if these are all the same, none is known.

    Parameters
    ----------
    values : array_like, shape (n,)
        NaN is left out.
    groups : sequence of n hashable values, optional
        Values of the same group, such as the captions of one photo, are not independent. Then
        groups are drawn instead of values, and a rate counts as one of fewer values.
    """
    values = np.asarray(values, float)
    sums, counts, n = _by_group(values, groups)
    if not n:
        return UNKNOWN
    mean = float(sums.sum() / n)
    if _is_rate(values, _MOSTLY):
        return Interval(mean, *_wilson(mean, _effective(sums, counts)), n)
    low, high = _of_mean(sums, counts)
    if _is_rate(values, 0):
        low, high = np.maximum(low, 0.0), np.minimum(high, 1.0)
    return Interval(mean, float(low), float(high), n)


def difference(values: npt.ArrayLike, others: npt.ArrayLike, groups: Groups = None) -> Interval:
    """Return by how much values are higher than others of the same queries, with its interval.

    The queries are compared one by one, so it does not matter that some are harder than others.
    If the interval holds 0, no difference was seen. For means it is the bootstrap of the
    differences, for rates Wald's with half a query added to each of the four outcomes (Agresti
    and Min 2005, "Simple improved confidence intervals for comparing matched proportions").
    """
    values, others = np.asarray(values, float), np.asarray(others, float)
    each = values - others
    sums, counts, n = _by_group(each, groups)
    if not n:
        return UNKNOWN
    mean = float(sums.sum() / n)
    if len(counts) == n and _is_rate(values) and _is_rate(others):
        gained, lost = (each > 0).sum() + 0.5, (each < 0).sum() + 0.5
        centre = (gained - lost) / (n + 2)
        error = np.sqrt((gained + lost) / (n + 2) - centre**2) / np.sqrt(n + 2)
        half = float(stats.norm.ppf(_TAIL) * error)
        return Interval(mean, min(centre - half, mean), max(centre + half, mean), n)
    return Interval(mean, *_of_mean(sums, counts), n)


def total(first: Interval, second: Interval) -> Interval:
    """Return the sum of two means with its interval.

    That is the method of Zou and Donner (2008, "Construction of confidence limits about effect
    measures: A general approach"). It is right for means that are independent. It is too wide
    where one falls as the other rises, as the two errors of a threshold do.
    """
    mean = first.mean + second.mean
    low = mean - np.hypot(first.mean - first.low, second.mean - second.low)
    high = mean + np.hypot(first.high - first.mean, second.high - second.mean)
    return Interval(mean, float(low), float(high), first.n + second.n)


def _by_group(values: np.ndarray, groups: Groups) -> tuple[np.ndarray, np.ndarray, int]:
    """Return each group's sum, how many values it has, and how many all have; NaN is none."""
    keys = pd.Series(range(len(values)) if groups is None else list(groups), dtype=object)
    table = pd.Series(values).dropna().groupby(keys, sort=False).agg(["sum", "count"])
    return table["sum"].to_numpy(), table["count"].to_numpy(float), int(table["count"].sum())


def _is_rate(values: np.ndarray, share: float = 1.0) -> bool:
    known = values[~np.isnan(values)]
    within = known.min() >= 0 and known.max() <= 1
    return bool(within and np.isin(known, (0, 1)).mean() >= share)


def _effective(sums: np.ndarray, counts: np.ndarray) -> float:
    """Return how many independent values would tell as much as these groups do.

    It is n divided by the design effect (Kish 1965, Survey Sampling), less what few groups leave
    unsure about that (Korn and Graubard 1998, "Confidence intervals for proportions with small
    expected number of positive counts estimated from survey data"). If all values are 0, or all
    are 1, they say nothing about how alike a group's are; then each group counts as one.
    """
    n, groups = counts.sum(), len(counts)
    mean = sums.sum() / n
    if groups == n:
        return n
    if mean in (0.0, 1.0) or groups == 1:
        return groups
    apart = min(n, mean * (1 - mean) / max(_squared_error(sums, counts), 1e-12))
    return float(apart * (stats.t.ppf(_TAIL, n - 1) / stats.t.ppf(_TAIL, groups - 1)) ** 2)


def _squared_error(sums: np.ndarray, counts: np.ndarray) -> float:
    """Return the variance of the mean, if groups are drawn."""
    groups, n = len(counts), counts.sum()
    mean = sums.sum() / n
    return float(((sums - mean * counts) ** 2).sum() / n**2 * groups / (groups - 1))


def _wilson(rate: float, n: float) -> tuple[float, float]:
    """Return Wilson's score interval (1927, "Probable inference, the law of succession ...")."""
    z = stats.norm.ppf(_TAIL)
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    return max(float(centre - half), 0.0), min(float(centre + half), 1.0)


def _of_mean(sums: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Return the interval of a mean of groups; see `interval`."""
    groups = len(counts)
    if groups < 2:
        return np.nan, np.nan
    student = stats.t.ppf(_TAIL, groups - 1)
    if groups < _FEW or groups > _MANY:
        mean, error = sums.sum() / counts.sum(), np.sqrt(_squared_error(sums, counts))
        if error < 1e-12 and groups < _FEW:
            return np.nan, np.nan
        return float(mean - student * error), float(mean + student * error)
    outside = 2 * stats.norm.cdf(-student * np.sqrt(groups / (groups - 1)))
    how = {"confidence_level": 1 - outside, "n_resamples": _DRAWS, "method": "percentile"}
    how |= {"rng": np.random.default_rng(0), "batch": max(1, _BATCH // groups)}
    drawn = stats.bootstrap((sums, counts), _share, paired=True, vectorized=True, **how)
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)


def _share(sums: np.ndarray, counts: np.ndarray, axis: int) -> np.ndarray:
    return sums.sum(axis=axis) / counts.sum(axis=axis)


def area_interval(
    present: npt.ArrayLike, absent: npt.ArrayLike, groups: tuple[Sequence, Sequence]
) -> Interval:
    """Return the area under the ROC curve with its bootstrap interval.

    It is how often a value of the first kind is above one of the second. If that is always, the
    bootstrap knows no interval; then Wilson's is taken, for as many groups as the rarer kind has.
    A group drawn twice is still one group: a pair within it counts twice, not four times.

    Parameters
    ----------
    present, absent : array_like
    groups : two sequences
        Of the first kind, and of the second. Groups are drawn, and both kinds of one together.
    """
    present, absent = np.asarray(present), np.asarray(absent)
    above = (present[:, None] > absent) + 0.5 * (present[:, None] == absent)
    area, n = float(above.mean()), len(present) + len(absent)
    if area in (0.0, 1.0):
        return Interval(area, *_wilson(area, min(len(set(each)) for each in groups)), n)
    codes, known = pd.factorize(np.concatenate(groups))
    size = len(known)
    drawn = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), _DRAWS)
    places = np.split(codes, [len(present)])
    rows, columns = (drawn[:, each] for each in places)
    within = places[0][:, None] == places[1]
    pairs = np.stack([above, np.ones(above.shape)])
    across = (rows @ (pairs * ~within) * columns).sum(axis=2)
    sums, counts = across + (pairs * within).sum(axis=2) @ rows.T
    counts[counts == 0] = np.nan  # a draw without one of the kinds
    low, high = np.nanquantile(sums / counts, [1 - _TAIL, _TAIL])
    return Interval(area, min(float(low), area), max(float(high), area), n)


class Tabled(Protocol):
    """What shows itself as a table below its heading; as the heading alone, if that is empty."""

    note: str = ""
    _most: int | None = None  # rows that are shown, if not all

    def table(self) -> pd.DataFrame:
        """Return the figures."""

    def _heading(self) -> str:
        """Return what the figures are of."""

    def __repr__(self) -> str:
        heading, table = self._shown()
        return heading if table.empty else f"{heading}\n{table.to_string(float_format=_DIGITS)}"

    def _repr_html_(self) -> str:
        heading, table = self._shown()
        title = f"<p><b>{html.escape(heading)}</b></p>"
        return title if table.empty else title + table.to_html(float_format=_DIGITS)

    def _shown(self) -> tuple[str, pd.DataFrame]:
        heading = ". ".join(filter(None, [self._heading(), self.note]))
        return heading, self.table().iloc[: self._most]


def counted(number: int, one: str, many: str) -> str:
    """Return "1 query", or "1,000 queries"."""
    return f"{number:,} {one if number == 1 else many}"
