"""Each patch is changed by its own draw, and as the papers say."""

import pytest
import torch

from lookalike.views.patch_changes import drop_colours, jitter_patches


@pytest.mark.parametrize("pixels", [1, 2, 3, 4])
def test_a_window_lands_in_the_middle_of_zeros(pixels):
    torch.manual_seed(0)
    side, count = 8, 400
    patches = torch.rand(count, 3, side, side) + 1
    jittered = jitter_patches(patches, pixels=pixels)
    first, size = pixels // 2, side - pixels
    middle = slice(first, first + size)
    starts = set()
    for patch, window in zip(patches, jittered[:, :, middle, middle], strict=True):
        found = [
            (down, across)
            for down in range(pixels + 1)
            for across in range(pixels + 1)
            if patch[:, down : down + size, across : across + size].equal(window)
        ]
        assert len(found) == 1
        starts.update(found)
    assert len(starts) == (pixels + 1) ** 2  # all of them come up
    jittered[:, :, middle, middle] = 0
    assert not jittered.any()


def test_colours_are_dropped_all_but_one():
    torch.manual_seed(0)
    patches = torch.rand(3000, 3, 4, 4) + 1
    dropped = drop_colours(patches, probability=0.5)
    left = (dropped != 0).flatten(2).all(2)  # (N, C)
    assert dropped.equal(patches * left[:, :, None, None])
    alone = left.sum(1) == 1
    assert (alone | (left.sum(1) == 3)).all()
    # five standard deviations of a binomial share
    assert abs(float(alone.float().mean()) - 0.5) < 5 * (0.25 / 3000) ** 0.5
    shares = left[alone].float().mean(0)
    assert (shares - 1 / 3).abs().max() < 5 * (2 / 9 / int(alone.sum())) ** 0.5


def test_nothing_changes_at_zero():
    patches = torch.rand(5, 3, 8, 8)
    state = torch.get_rng_state()
    assert jitter_patches(patches, pixels=0) is patches
    assert drop_colours(patches, probability=0.0) is patches
    assert torch.get_rng_state().equal(state)


@pytest.mark.parametrize("pixels", [-1, 8])
def test_a_window_of_nothing_is_refused(pixels):
    with pytest.raises(ValueError, match=r"pixels must be in \[0, 7\]"):
        jitter_patches(torch.rand(1, 3, 8, 8), pixels=pixels)


def test_a_wrong_probability_is_refused():
    with pytest.raises(ValueError, match="probability must be in"):
        drop_colours(torch.rand(1, 3, 8, 8), probability=1.5)
