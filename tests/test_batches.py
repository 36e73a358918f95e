import threading
import time

import pytest

from helpers.batches import batches, map_batches


def test_batches_hold_everything_in_order():
    assert list(batches(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(batches([], 3)) == []
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        list(batches([1], 0))


@pytest.mark.parametrize("ahead", [0, 2, 50])
def test_results_come_in_order_whichever_is_ready_first(ahead):
    def slow_at_first(number):
        time.sleep(0.02 / (number + 1))
        return -number

    results = list(map_batches(slow_at_first, range(10), 4, ahead))
    assert results == [[0, -1, -2, -3], [-4, -5, -6, -7], [-8, -9]]


@pytest.mark.parametrize("ahead", [0, 2])
def test_no_more_is_taken_than_the_batches_ahead(ahead):
    taken = []

    def count():
        for number in range(100):
            taken.append(number)
            yield number

    results = map_batches(str, count(), 10, ahead)
    next(results)
    assert len(taken) == 10 * (ahead + 1)
    results.close()


def test_batches_ahead_are_worked_on_meanwhile():
    started = threading.Event()
    results = map_batches(lambda n: n == 1 and started.set(), [0, 1], 1, ahead=1)
    next(results)
    assert started.wait(timeout=10)
    results.close()


def test_an_error_is_raised_to_the_caller():
    results = map_batches(lambda n: 1 // n, [2, 1, 0], 2, ahead=0)
    assert next(results) == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_closing_early_drops_what_was_not_begun():
    begun = []

    def note(number):
        begun.append(number)
        time.sleep(0.01)

    results = map_batches(note, range(10_000), 1000, ahead=3)
    next(results)
    results.close()
    assert len(begun) < 2000
