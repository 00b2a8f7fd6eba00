"""Threads that hand back their results in order."""

from __future__ import annotations

import random
import threading
import time
from itertools import islice

import pytest

from lookalike.data.threads import map_in_order


@pytest.mark.parametrize("count", [0, 1, 16, 17, 100])
def test_results_come_in_the_order_of_the_items(count: int) -> None:
    waits = random.Random(count)

    def double(item: int) -> int:
        time.sleep(waits.random() / 1000)
        return 2 * item

    assert list(map_in_order(double, range(count), threads=4)) == list(range(0, 2 * count, 2))


def test_only_a_few_items_are_ahead() -> None:
    begun = []
    results = map_in_order(begun.append, range(10_000), threads=2)
    next(results)
    time.sleep(0.05)
    assert len(begun) < 200
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == 1 or len(begun) < 200


def test_an_error_reaches_whoever_asked() -> None:
    def refuse(item: int) -> int:
        if item == 20:
            raise KeyError(item)
        return item

    results = map_in_order(refuse, range(100), threads=3)
    assert list(islice(results, 16)) == list(range(16))
    with pytest.raises(KeyError):
        list(results)
