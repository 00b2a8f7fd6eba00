"""DrLIM's contrastive loss. Hadsell, Chopra and LeCun 2006, CVPR, equation 4."""

import torch
from torch import Tensor

from lookalike import _check


def contrastive_loss(a: Tensor, b: Tensor, similar: Tensor, *, margin: float = 1.0) -> Tensor:
    """Pull similar pairs together, push dissimilar ones apart up to a margin.

    With D the Euclidean distance of a pair, D^2 / 2 where it is similar, max(0, margin - D)^2 / 2
    where it is not. Nothing is normalised. A dissimilar pair in one place has no direction to part
    in, and gets no gradient.

    Args:
        a: (B, D) embeddings.
        b: (B, D) embeddings, row i the other one of pair i.
        similar: (B,) bool, whether a pair is alike. The paper's Y is 0 for these.
        margin: > 0, the distance beyond which dissimilar pairs are let go.

    Returns:
        () mean over pairs, >= 0.

    Raises:
        ValueError: shapes do not fit, or margin <= 0.
    """
    _check.same_matrix(a=a, b=b)
    _check.labels_of(len(a), similar=similar)
    _check.positive(margin=margin)
    dtype = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    squared = (a.to(dtype) - b.to(dtype)).square().sum(dim=1)
    distance = squared.clamp(min=torch.finfo(dtype).tiny).sqrt()
    short = (margin - distance).clamp(min=0)
    return torch.where(similar, squared, short.square()).mean() / 2
