"""The memory holds the last embeddings with their labels, whatever the sizes of the batches."""

import pytest
import torch

from lookalike.nn.cross_batch_memory import CrossBatchMemory


def fill(memory, sizes):
    """Enqueue batches of these sizes, numbered one by one; return all that was enqueued."""
    rows = torch.arange(sum(sizes), dtype=torch.float32)[:, None].repeat(1, memory.rows.shape[1])
    labels = torch.arange(sum(sizes)) * 10
    for part, named in zip(rows.split(sizes), labels.split(sizes), strict=True):
        memory.enqueue(part, named)
    return rows, labels


@pytest.mark.parametrize("sizes", [[4, 4, 4], [3, 5, 2, 6], [20], [1] * 13, [8], [2, 30, 3]])
def test_it_holds_the_last_of_what_came_in(sizes):
    memory = CrossBatchMemory(8, 2)
    _, labels = fill(memory, sizes)
    assert set(memory.labels.tolist()) == set(labels[-8:].tolist())
    assert memory.rows[:, 0].mul(10).equal(memory.labels.float()), "rows and labels go together"


def test_the_first_batch_fills_it_with_copies_of_itself():
    memory = CrossBatchMemory(8, 2)
    fill(memory, [3])
    assert sorted(memory.labels.tolist()) == sorted([0, 10, 20] * 2 + [0, 10])


def test_before_the_first_batch_it_is_like_no_image():
    memory = CrossBatchMemory(8, 2)
    assert len(set(memory.labels.tolist())) == 8
    assert bool((memory.labels < -1).all()), "-1 is an image without a label"


def test_a_resumed_memory_goes_on_where_it_was():
    first, second = CrossBatchMemory(8, 2), CrossBatchMemory(8, 2)
    fill(first, [3, 3])
    second.load_state_dict(first.state_dict())
    for memory in (first, second):
        memory.enqueue(torch.full((4, 2), 7.0), torch.full((4,), 7))
    for name, value in first.state_dict().items():
        assert value.equal(second.state_dict()[name]), name


@pytest.mark.parametrize(("size", "dim"), [(0, 4), (4, 0)])
def test_an_empty_memory_is_refused(size, dim):
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        CrossBatchMemory(size, dim)
