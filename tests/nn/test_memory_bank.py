"""The bank moves the rows it is told to, as the paper's code does, and no other."""

import pytest
import torch

from lookalike.nn.memory_bank import MemoryBank
from lookalike.pairwise.similarity import unit_rows


def test_a_row_is_of_norm_one_in_expectation_and_then_in_fact():
    torch.manual_seed(0)
    bank = MemoryBank(4000, 32)
    assert float(bank.rows.square().sum(1).mean()) == pytest.approx(1, abs=0.01)
    index = torch.tensor([7, 3000])
    bank.update(index, unit_rows(torch.randn(2, 32)), momentum=0.5)
    torch.testing.assert_close(bank.rows[index].norm(dim=1), torch.ones(2))


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_touched_rows_move_and_others_do_not(momentum):
    bank = MemoryBank(10, 4)
    before = bank.rows.clone()
    index, vectors = torch.tensor([8, 1, 5]), unit_rows(torch.randn(3, 4))
    bank.update(index, vectors, momentum=momentum)
    for position in range(10):
        row = before[position]
        if position in index.tolist():
            vector = vectors[index.tolist().index(position)]
            mixed = momentum * row + (1 - momentum) * vector
            torch.testing.assert_close(bank.rows[position], mixed / mixed.norm())
        else:
            assert bank.rows[position].equal(row)


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        MemoryBank(0, 4)
