"""The angles' sum and its gradient against unit differences, held dense."""

import pytest
import torch
import torch.nn.functional as F

from lookalike.losses._angles import angle_gaps
from lookalike.pairwise import distances


def squares(seed, count=9, width=4):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(count, width, dtype=torch.float64, generator=generator)
    return rows, (rows[:, None] - rows).square().sum(2)


def cosines(rows):
    units = F.normalize(rows - rows[:, None], dim=2)
    return units @ units.transpose(1, 2)


@pytest.mark.parametrize("tile", [1, 3 * 81, 2**18])
def test_it_is_the_sum_of_the_direct_form(tile, monkeypatch):
    monkeypatch.setattr(distances, "CPU_TILE", tile)
    (student, ours), (teacher, theirs) = squares(0), squares(1, width=2)
    want = F.smooth_l1_loss(cosines(student), cosines(teacher), reduction="sum")
    torch.testing.assert_close(angle_gaps(ours, theirs), want)


def test_the_operator_keeps_torchs_contract():
    (_, ours), (_, theirs) = squares(0), squares(1)
    contract = ("test_schema", "test_autograd_registration", "test_faketensor")
    for wanted in (True, False):
        torch.library.opcheck(
            torch.ops.lookalike.angle_gaps,
            (ours.requires_grad_(wanted), theirs, wanted),
            test_utils=contract,
        )


def test_no_gradient_is_worked_out_where_none_is_wanted():
    (_, ours), (_, theirs) = squares(0), squares(1)
    assert torch.ops.lookalike.angle_gaps(ours, theirs, False)[1].numel() == 0
    assert not angle_gaps(ours, theirs).requires_grad
    with torch.no_grad():
        assert not angle_gaps(ours.requires_grad_(), theirs).requires_grad


def test_a_second_derivative_is_refused():
    (_, ours), (_, theirs) = squares(0), squares(1)
    ours.requires_grad_()
    (gradient,) = torch.autograd.grad(angle_gaps(ours, theirs), ours, create_graph=True)
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        gradient.sum().backward()
