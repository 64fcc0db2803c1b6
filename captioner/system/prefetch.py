"""Compute results ahead of their use, in threads."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def prefetch_map(
    work: Callable[[T], R],
    items: Iterable[T],
    threads: int = 1,
    lead: int = 4,
    stop: Callable[[], object] = lambda: None,
) -> Generator[R, None, None]:
    """Yield `work(item)` for each item, in order, while threads are at those to come.

    At most `lead` results are made before they are asked for, so memory stays flat. When the caller stops early, or is
    interrupted, what has not begun never does. An exception in `work` reaches the caller in its item's turn.

    Args:
        work: what to do with an item; it runs in `threads` threads at once.
        items: taken from the caller's thread.
        threads: how many.
        lead: results made or begun in advance.
        stop: called at the end, so that work that is no longer wanted may end early.
    """
    items = iter(items)
    pool = ThreadPoolExecutor(threads)
    try:
        begun: deque[Future[R]] = deque(pool.submit(work, item) for item in islice(items, lead))
        while begun:
            result = begun.popleft().result()
            begun.extend(pool.submit(work, item) for item in islice(items, 1))
            yield result
    finally:
        stop()
        pool.shutdown(cancel_futures=True)
