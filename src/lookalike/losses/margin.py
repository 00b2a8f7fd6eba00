"""Margin triplet: the partner ahead by a margin. Chen et al. 2020, arXiv:2002.05709, table 2."""

import torch.nn.functional as F
from torch import Tensor

from lookalike import _check
from lookalike.losses._rivals import Negatives, cosines


def margin_loss(
    z1: Tensor, z2: Tensor, *, margin: float = 0.4, negatives: Negatives = "all"
) -> Tensor:
    """max(0, cosine with a negative - cosine with the partner + margin).

    Memory is O(B^2) with all negatives.

    Args:
        z1: (B, D) projections of the first views; any scale.
        z2: (B, D) of the second views, row i showing the image of row i of `z1`.
        margin: > 0, in units of cosine.
        negatives: "all" views of other images, averaged, or "semi_hard": of those less alike than
            the partner the one most alike; a view without one adds 0.

    Returns:
        () mean over the 2B views, in [0, 2 + margin]; the margin itself where all rows are equal
        and all negatives count.

    Raises:
        ValueError: shapes differ or are not 2-D; margin <= 0; there are no such negatives.
    """
    _check.positive(margin=margin)
    partner, others, count = cosines(z1, z2, negatives)
    return F.relu(others - partner + margin).sum(1).mean() / count
