"""What SimCLR's two rival objectives compare. Chen et al. 2020, arXiv:2002.05709, section 5.1."""

import math
from typing import Literal

import torch
from torch import Tensor

from lookalike import _check
from lookalike.pairwise.similarity import row_max, unit_rows

Negatives = Literal["all", "semi_hard"]


def cosines(z1: Tensor, z2: Tensor, negatives: Negatives) -> tuple[Tensor, Tensor, int]:
    """Return every view's cosine with its partner and with its negatives.

    All negatives together take O(B^2) memory, the semi-hard ones O(B D).

    Args:
        z1: (B, D) projections of the first views; any scale.
        z2: (B, D) of the second views, row i showing the image of row i of `z1`.
        negatives: "all" views of other images, or "semi_hard", the one most alike of those that are
            less alike than the partner.

    Returns:
        (2B, 1) with the partner; (2B, n) with the negatives, -inf in place of one that is none;
        how many negatives a view has, at least 1.

    Raises:
        ValueError: shapes differ or are not 2-D; there are no such negatives.
    """
    _check.same_matrix(z1=z1, z2=z2)
    _check.one_of(("all", "semi_hard"), negatives=negatives)
    z = unit_rows(torch.cat([z1, z2]))  # (2B, D)
    first, second = z.view(2, *z1.shape)
    partner = (first * second).sum(1).repeat(2)  # (2B,)
    image = torch.arange(len(z1), device=z.device).repeat(2)  # (2B,)
    if negatives == "semi_hard":
        nearest = row_max(z, row_labels=image, among="different", below=partner.detach())
        return partner[:, None], nearest[:, None], 1
    same = image[:, None] == image  # (2B, 2B)
    return partner[:, None], (z @ z.T).masked_fill(same, -math.inf), max(len(z) - 2, 1)
