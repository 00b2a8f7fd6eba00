"""Products against distances that are measured one by one."""

import torch

from lookalike.losses._distances import distance_rows


def test_products_are_negative_squared_distances_but_for_a_constant_a_row():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    columns = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    long, wide = distance_rows(rows, columns)
    rest = long @ wide.T + torch.cdist(rows, columns).square()  # (5, 7)
    torch.testing.assert_close(rest, rest[:, :1].expand_as(rest))


def test_points_far_from_the_origin_keep_their_distances():
    """At 1000 the squares are near 1e6, and float32 would lose distances of 0.1."""
    generator = torch.Generator().manual_seed(1)
    near = torch.randn(6, 4, generator=generator)
    far = near + 1024  # exact enough: float32 steps of 1e-4 there
    long, wide = distance_rows(far, far)
    rest = long @ wide.T + torch.cdist(far.double(), far.double()).square()
    assert (rest - rest[:, :1]).abs().max() < 1e-4
