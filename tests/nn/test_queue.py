"""The queue is the last keys, whatever the sizes of the batches they came in."""

import pytest
import torch

from lookalike.nn.queue import Queue
from lookalike.pairwise.similarity import unit_rows


def test_it_starts_as_random_directions():
    rows = Queue(64, 16).rows
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(64))
    assert (rows @ rows.T - torch.eye(64)).abs().max() < 0.99


@pytest.mark.parametrize("sizes", [(4, 4, 4), (3, 5, 1, 7, 2), (8,), (20, 3), (1,) * 11])
def test_it_holds_the_last_keys_in_a_ring(sizes):
    torch.manual_seed(0)
    queue, size = Queue(8, 3), 8
    start = queue.rows.clone()
    every = []
    for count in sizes:
        keys = unit_rows(torch.randn(count, 3))
        queue.enqueue(keys)
        every += keys.unbind(0)
    wanted = list(start)
    for number, key in enumerate(every):
        wanted[number % size] = key
    torch.testing.assert_close(queue.rows, torch.stack(wanted), rtol=0, atol=0)
    assert int(queue.place) == len(every) % size


def test_nothing_is_moved():
    queue = Queue(8, 3)
    before = queue.rows.data_ptr()
    queue.enqueue(unit_rows(torch.randn(5, 3)))
    assert queue.rows.data_ptr() == before


def test_all_of_it_is_state():
    queue, other = Queue(8, 3), Queue(8, 3)
    queue.enqueue(unit_rows(torch.randn(5, 3)))
    other.load_state_dict(queue.state_dict())
    assert other.rows.equal(queue.rows)
    assert int(other.place) == 5


@pytest.mark.parametrize("wrong", [{"size": 0, "dim": 4}, {"size": 4, "dim": 0}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match="at least 1"):
        Queue(**wrong)
