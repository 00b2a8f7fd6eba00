"""Work on many images at once, results in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_TOGETHER = 16  # items a thread takes at a time: handing over one costs as much as a small image


def map_in_order(
    function: Callable[[Item], Result], items: Sequence[Item], *, threads: int | None = None
) -> Iterator[Result]:
    """Yield function(item) of each item, in the order of the items.

    Only a few items are ahead of the one that is yielded, so memory stays bounded.

    Args:
        function: lets go of the interpreter's lock most of the time, as decoding does.
        items: what to work on.
        threads: how many at once; None for as many as there are processors, at most 8.
    """
    threads = threads or min(8, os.cpu_count() or 1)
    waiting: deque[Future[list[Result]]] = deque()

    def work(start: int) -> list[Result]:
        return [function(item) for item in items[start : start + _TOGETHER]]

    with ThreadPoolExecutor(threads) as pool:
        try:
            for start in range(0, len(items), _TOGETHER):
                waiting.append(pool.submit(work, start))
                if len(waiting) > 2 * threads:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:  # where nobody wants the rest any more, do not work on it
            pool.shutdown(cancel_futures=True)
