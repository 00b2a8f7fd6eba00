"""What counts as alike is what it says, and an error of 0 or 1 means what it says."""

import sys

import pytest
import torch

from lookalike.errors import UsageError
from lookalike.papers.shifted_digits import (
    NEIGHBOURS,
    SHIFTS,
    alike_by_digit,
    alike_in_pixels,
    load_digits_shifted,
    own_over_other,
    shift_error,
    threshold,
)

S = len(SHIFTS)


@pytest.fixture(scope="module")
def digits():
    return load_digits_shifted(0)


def test_digits_are_whole_in_every_shift(digits):
    assert digits.seen.shape == (241 * S, 32, 32)
    assert digits.held_out.shape == (120 * S, 32, 32)
    for pictures in digits:
        assert 0 <= pictures.min() <= pictures.max() <= 1
        by_digit = pictures.unflatten(0, (-1, S))
        ink = by_digit.sum(dim=(2, 3))
        torch.testing.assert_close(ink, ink[:, :1].expand_as(ink))
        for number, shift in enumerate(SHIFTS):
            assert by_digit[:, number].equal(by_digit[:, SHIFTS.index(0)].roll(shift, dims=2))


def test_a_seed_draws_the_digits_held_out(digits):
    again, other = load_digits_shifted(0), load_digits_shifted(1)
    assert again.held_out.equal(digits.held_out)
    assert not other.held_out.equal(digits.held_out)
    middle = [each[SHIFTS.index(0) :: S].flatten(1) for each in digits]
    assert torch.cdist(*middle).min() > 0  # none is on both sides


def test_the_nearest_in_pixels_are_alike(digits):
    pictures = digits.seen[:200]
    alike = alike_in_pixels(pictures)
    assert alike.equal(alike.T)
    assert not alike.diagonal().any()
    flat = pictures.flatten(1).double()
    for i in range(0, 200, 23):
        distances = (flat - flat[i]).norm(dim=1)
        distances[i] = torch.inf
        assert alike[i, distances.argsort()[:NEIGHBOURS]].all()
    assert NEIGHBOURS * 200 <= alike.sum() <= 2 * NEIGHBOURS * 200


def test_shifts_of_a_digit_and_of_its_neighbours_are_alike(digits):
    pictures = digits.seen[: 40 * S]
    alike = alike_by_digit(pictures)
    near = alike_in_pixels(pictures[SHIFTS.index(0) :: S])
    for i, j in [(0, 1), (0, S), (7, 3 * S + 2), (6, 8), (11, 11), (30, 20)]:
        same = i // S == j // S
        assert alike[i, j] == (i != j and bool(same or near[i // S, j // S]))
    assert alike.sum() == (near.sum() + 40) * S**2 - 40 * S


def test_an_error_is_0_where_shifts_are_one_and_1_where_they_are_nothing_special():
    generator = torch.Generator().manual_seed(0)
    places = torch.randn(50, 2, generator=generator)
    assert own_over_other(places.repeat_interleave(S, 0)) == 0
    anywhere = torch.randn(50 * S, 2, generator=generator)
    assert own_over_other(anywhere) == pytest.approx(1, abs=0.1)
    by_shift = torch.arange(float(S)).repeat(50)[:, None]  # the map sees the shift alone
    # |i - j| over distinct shifts is (S + 1) / 3 on average, over any two (S^2 - 1) / (3 S)
    assert own_over_other(by_shift) == pytest.approx((S + 1) / 3 / ((S**2 - 1) / (3 * S)))
    assert own_over_other(3 * anywhere + 1) == pytest.approx(own_over_other(anywhere))


@pytest.mark.parametrize("alike", ["pixels", "shifts"])
def test_an_experiment_is_that_of_its_seed_and_leaves_random_numbers_alone(alike):
    state = torch.get_rng_state()
    one, again = (shift_error(learner="drlim", alike=alike, seed=3, steps=2) for _ in range(2))
    assert one == again
    assert one != shift_error(learner="drlim", alike=alike, seed=4, steps=2)
    assert torch.get_rng_state().equal(state)


def test_a_map_is_fitted_on_some_digits_and_measured_on_others(digits):
    seen, held_out = (each.flatten(1).double() for each in digits)
    axes = torch.linalg.svd(seen - seen.mean(dim=0), full_matrices=False)[2][:2]
    expected = own_over_other(held_out @ axes.T)
    assert shift_error(learner="pca", seed=0) == pytest.approx(expected)


def test_the_threshold_is_what_it_says():
    assert threshold(seed=0, share=0.2) == 0.2


def test_without_scikit_learn_one_line_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UsageError, match=r"come with scikit-learn\n  fix: pip install"):
        load_digits_shifted(0)
