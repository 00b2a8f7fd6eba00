"""A slow copy follows its closed form, keeps its own averages and asks for no gradient."""

import itertools
import math

import pytest
import torch
from torch import nn

from lookalike.nn.ema import cosine_decay, ema_update, frozen_copy


def a_net():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def test_a_copy_is_equal_frozen_and_apart():
    net, head = a_net(), nn.Linear(4, 2)
    target = frozen_copy(net, head)
    x = torch.randn(8, 3)
    torch.testing.assert_close(target(x), head(net(x)))
    assert not any(parameter.requires_grad for parameter in target.parameters())
    assert all(parameter.requires_grad for parameter in net.parameters())
    with torch.no_grad():
        net[0].weight.zero_()
    assert target[0][0].weight.any()


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.99, 1.0])
def test_with_a_still_source_the_start_decays_geometrically(decay):
    """xi_t = m^t xi_0 + (1 - m^t) theta."""
    net = a_net().double()
    target = frozen_copy(net)
    start = [parameter.clone() for parameter in target.parameters()]
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_()
    for _ in range(7):
        ema_update(target, net, decay=decay)
    for now, then, source in zip(target.parameters(), start, net.parameters(), strict=True):
        torch.testing.assert_close(now, decay**7 * then + (1 - decay**7) * source)


def test_running_averages_are_the_copys_own():
    net = a_net()
    target = frozen_copy(net)
    net(torch.randn(16, 3) + 5)
    before = target[0][1].running_mean.clone()
    ema_update(target, net, decay=0.5)
    assert target[0][1].running_mean.equal(before)


def test_the_decay_rises_from_first_to_one():
    decays = [cosine_decay(0.996, step / 100) for step in range(101)]
    assert decays[0] == pytest.approx(0.996)
    assert decays[-1] == 1
    assert all(low < high for low, high in itertools.pairwise(decays))


def test_what_is_left_of_the_start_is_about_what_the_sheet_says():
    """The product of all decays is near exp(-(1 - first) K / 2)."""
    steps = 10_000
    left = math.prod(cosine_decay(0.996, step / steps) for step in range(steps))
    assert left == pytest.approx(math.exp(-0.004 * steps / 2), rel=0.05)


def test_a_decay_out_of_range_is_refused():
    with pytest.raises(ValueError, match="decay"):
        ema_update(frozen_copy(a_net()), a_net(), decay=1.5)
