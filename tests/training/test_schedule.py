"""Schedules at their first, highest and last value, and in between (property O2)."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lookalike.training.schedule import scaled_learning_rate, warmup_cosine


@st.composite
def plans(draw: st.DrawFn) -> tuple[int, int]:
    steps = draw(st.integers(2, 2000))
    return steps, draw(st.integers(0, steps - 1))


@given(plans(), st.floats(1e-4, 10))
def test_rises_in_a_line_to_the_peak_and_ends_at_0(plan: tuple[int, int], base: float) -> None:
    steps, warmup = plan
    rates = [warmup_cosine(s, steps=steps, warmup=warmup, base=base) for s in range(steps + 1)]
    assert max(rates) == base == rates[max(warmup - 1, 0)] == rates[warmup]
    assert rates[steps] == pytest.approx(0, abs=1e-12)
    rise = [base * (step + 1) / warmup for step in range(warmup)]
    assert rates[:warmup] == pytest.approx(rise)
    assert all(
        later <= earlier
        for earlier, later in zip(rates[warmup:], rates[warmup + 1 :], strict=False)
    )
    assert all(rate > 0 for rate in rates[:steps])


@given(plans())
def test_the_cosine_is_symmetric_about_half_the_peak(plan: tuple[int, int]) -> None:
    steps, warmup = plan
    for step in range(warmup, steps + 1):
        mirror = steps - (step - warmup)
        pair = [warmup_cosine(s, steps=steps, warmup=warmup, base=2.0) for s in (step, mirror)]
        assert sum(pair) == pytest.approx(2.0)


@given(plans(), st.floats(1e-3, 10))
def test_is_linear_in_the_base(plan: tuple[int, int], base: float) -> None:
    steps, warmup = plan
    for step in (0, warmup, steps // 2, steps - 1):
        one = warmup_cosine(step, steps=steps, warmup=warmup, base=1.0)
        assert warmup_cosine(step, steps=steps, warmup=warmup, base=base) == pytest.approx(
            base * one
        )


def test_equals_torch_without_warmup() -> None:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50)
    for step in range(50):
        ours = warmup_cosine(step, steps=50, warmup=0, base=0.3)
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()


def test_a_training_of_warmup_alone_rises_to_the_end() -> None:
    rates = [warmup_cosine(step, steps=4, warmup=4, base=1.0) for step in range(5)]
    assert rates == [0.25, 0.5, 0.75, 1.0, 0.0]


@pytest.mark.parametrize(
    "arguments",
    [
        {"step": 11, "steps": 10, "warmup": 0},
        {"step": -1, "steps": 10, "warmup": 0},
        {"step": 0, "steps": 10, "warmup": 11},
        {"step": 0, "steps": 0, "warmup": 0},
    ],
)
def test_refuses_steps_outside_the_training(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="steps"):
        warmup_cosine(**arguments, base=1.0)


@given(st.integers(1, 65_536))
def test_scaling(batch_size: int) -> None:
    assert scaled_learning_rate(0.3, 256, scaling="linear") == 0.3
    assert scaled_learning_rate(0.3, batch_size, scaling="none") == 0.3
    for scaling, power in (("linear", 1), ("square_root", 0.5)):
        one, many = (scaled_learning_rate(0.3, b, scaling=scaling) for b in (1, batch_size))
        assert many == pytest.approx(one * batch_size**power)


def test_simclr_at_4096_images_is_4_8_either_way() -> None:
    # appendix B.1: 0.3 * 4096 / 256 and 0.075 * sqrt(4096) agree there
    assert scaled_learning_rate(0.3, 4096, scaling="linear") == pytest.approx(4.8)
    assert scaled_learning_rate(0.075, 4096, scaling="square_root") == pytest.approx(4.8)


def test_refuses_a_scaling_that_is_none() -> None:
    with pytest.raises(ValueError, match="scaling must be one of linear, none, square_root"):
        scaled_learning_rate(0.3, 256, scaling="cubic")
    with pytest.raises(ValueError, match="batch_size"):
        scaled_learning_rate(0.3, 0, scaling="linear")
