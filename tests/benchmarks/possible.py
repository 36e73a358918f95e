"""What cannot be is not printed: every benchmark asks here before it shows its figures.

A check yields a sentence for each figure that is impossible, and `refuse` stops the benchmark with
all of them. A figure may be a number, or all its turns: two figures differ beyond noise where not
even the turns that are nearest to each other are within `NOISE`.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NoReturn

NOISE = 0.1  # of a figure: a processor is never just as fast again
ROUNDING = 1e-4  # of a cosine, or of another figure that no noise changes

Figure = float | list[float]


class Impossible(SystemExit):
    """Ends a benchmark before it prints what cannot be."""


def refuse(complaints: Iterable[str]) -> None:
    """Stop the benchmark if there is anything to complain about."""
    found = list(complaints)
    if found:
        _stop(found)


def _stop(complaints: list[str]) -> NoReturn:
    lines = "\n".join(f"- {complaint}" for complaint in complaints)
    raise Impossible(
        f"These figures cannot be, so none is printed:\n{lines}\nIf other programs were running, "
        "measure again without them. If not, the benchmark or what it measures is wrong."
    )


def within(what: str, value: float, low: float, high: float = math.inf) -> Iterator[str]:
    """Complain about a figure that is no finite number, or out of its range."""
    if not math.isfinite(value) or not low - ROUNDING <= value <= high + ROUNDING:
        limits = f"from {low:g} to {high:g}" if math.isfinite(high) else f"at least {low:g}"
        yield f"{what} is {value:g}, and has to be {limits}"


def positive(what: str, value: float) -> Iterator[str]:
    """Complain about a rate or a time that is 0 or less, or no finite number."""
    if not (math.isfinite(value) and value > 0):
        yield f"{what} is {value:g}, and has to be above 0"


def cosine(what: str, value: float) -> Iterator[str]:
    """Complain about what cannot be the cosine of two vectors."""
    yield from within(f"the cosine of {what}", value, -1, 1)


def worked(what: str, done: int, claimed: int) -> Iterator[str]:
    """Complain if less was done than was claimed, or more, or nothing."""
    if done != claimed or not claimed:
        yield f"{what}: {done:,} were done, and {claimed:,} claimed"


def no_faster(what: str, rate: Figure, part: str, part_rate: Figure) -> Iterator[str]:
    """Complain if something is faster than a part of it, beyond noise."""
    slowest, fastest = min(_turns(rate)), max(_turns(part_rate))
    if slowest > fastest * (1 + NOISE):
        yield f"{what} runs at {slowest:.3g} or more, and {part}, a part of it, at {fastest:.3g}"


def no_shorter(what: str, time: Figure, part: str, part_time: Figure) -> Iterator[str]:
    """Complain if something takes less time than a part of it, beyond noise."""
    longest, shortest = max(_turns(time)), min(_turns(part_time))
    if longest < shortest * (1 - NOISE):
        yield f"{what} takes {longest:.3g} or less, and {part}, a part of it, {shortest:.3g}"


def _turns(figure: Figure) -> list[float]:
    return figure if isinstance(figure, list) else [figure]
