"""Process many items in batches, with bounded memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def batches(items: Iterable[In], size: int) -> Iterator[list[In]]:
    """Yield lists of `size` items; the last may be shorter.

    Raises
    ------
    ValueError
        If the size is below 1.
    """
    if size < 1:
        raise ValueError(f"batch_size must be at least 1, got {size}")
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def map_batches(
    function: Callable[[In], Out], items: Iterable[In], size: int, ahead: int
) -> Generator[list[Out], None, None]:
    """Apply a function to every item in threads; yield the results batch by batch, in order.

    Threads, not processes: Pillow releases Python's lock while it decodes and scales, and a fork
    after gRPC has started breaks both processes.

    Parameters
    ----------
    function
        Its exceptions are raised here.
    items : iterable
        Read as needed: at most `ahead` + 1 batches are held.
    size : int
    ahead : int
        How many batches to work on while the caller uses the one before.
    """
    waiting: deque[list[Future[Out]]] = deque()
    pool = ThreadPoolExecutor()  # by default more threads than cores: reading waits for the disk
    try:
        for batch in batches(items, size):
            waiting.append([pool.submit(function, item) for item in batch])
            if len(waiting) > ahead:
                yield [future.result() for future in waiting.popleft()]
        while waiting:
            yield [future.result() for future in waiting.popleft()]
    finally:
        pool.shutdown(cancel_futures=True)
