"""C2: nothing from below comes in, not even in the last bit."""

import pytest
import torch
from torch import nn

from lookalike.backbones.patches import patches
from lookalike.nn.masked_convolution import Context, MaskedConvolution


def test_it_is_a_3_x_3_convolution_with_its_last_row_masked():
    layer = MaskedConvolution(3, 5).double()
    maps = torch.rand(2, 3, 6, 7, dtype=torch.float64)
    masked = nn.functional.pad(layer.weight, (0, 0, 0, 1))  # a last row of zeros
    expected = nn.functional.conv2d(maps, masked, layer.bias, padding=1)
    torch.testing.assert_close(layer(maps), expected)


@pytest.mark.parametrize("blocks", [1, 5])
@pytest.mark.parametrize("row", range(7))
def test_c2_a_row_changes_no_context_above_it(blocks, row):
    torch.manual_seed(0)
    context = Context(8, 12, blocks=blocks)
    grid = torch.randn(2, 7, 7, 8)
    with torch.no_grad():
        before = context(grid)
        for column in range(7):
            changed = grid.clone()
            changed[:, row, column] = torch.randn(2, 8)
            after = context(changed)
            assert after[:, :row].equal(before[:, :row])
            assert not after[:, row, column].equal(before[:, row, column])
    poisoned = grid.clone()
    poisoned[:, row:] = torch.nan  # would spread wherever it were so much as multiplied by 0
    assert context(poisoned)[:, :row].isfinite().all()


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_every_block_sees_a_row_further_up_and_a_column_further_out(blocks):
    context = Context(4, 4, hidden_dim=16, blocks=blocks)
    grid = torch.randn(1, 7, 7, 4, requires_grad=True)
    context(grid)[0, 6, 3].sum().backward()
    seen = grid.grad.abs().sum(-1)[0] > 0
    for row in range(7):
        for column in range(7):
            up, out = 6 - row, abs(column - 3)
            assert bool(seen[row, column]) == (max(up, out) <= blocks)


def test_c2_in_pixels_no_context_sees_below_its_patches():
    """Patches overlap: row r reaches down to pixel 4 r + 7, and row r + 1 shares half of it."""
    torch.manual_seed(0)
    network, context = patches(width=4), Context(32, 16)
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        before = context(network.grid(images))
        for row in range(7):
            changed = images.clone()
            changed[:, :, 4 * row + 8 :] = torch.rand(2, 3, 24 - 4 * row, 32)
            after = context(network.grid(changed))
            assert after[:, : row + 1].equal(before[:, : row + 1])
            changed[:, :, 4 * row + 7] += 1  # the last line of pixels that it does see
            assert not context(network.grid(changed))[:, row].equal(before[:, row])


@pytest.mark.parametrize(("width", "context_dim"), [(8, 8), (8, 20)])
def test_shapes(width, context_dim):
    context = Context(width, context_dim, blocks=2)
    assert context(torch.rand(2, 3, 5, width)).shape == (2, 3, 5, context_dim)


@pytest.mark.parametrize("wrong", [{"blocks": 0}, {"hidden_dim": 0}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Context(4, 4, **wrong)
