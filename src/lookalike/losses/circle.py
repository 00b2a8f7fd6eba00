"""Circle loss. Sun et al. 2020, arXiv:2002.10857, equations 4 to 8."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike import _check
from lookalike.pairwise.distances import PairTile, by_tiles, centred


def circle_loss(
    embeddings: Tensor, labels: Tensor, *, margin: float = 0.4, scale: float = 80.0
) -> Tensor:
    """Pull and push each pair the more, the further its cosine is from where it should be.

    With s cosines and m the margin, an anchor costs softplus(log(sum over negatives of exp(scale *
    w (s - m))) + log(sum over positives of exp(-scale * w (s - 1 + m)))), where the weights w,
    max(0, s + m) of a negative and max(0, 1 + m - s) of a positive, count as constants. Memory is
    O(N D).

    Args:
        embeddings: (N, D), N >= 1; any scale.
        labels: (N,) integers, any; equal ones are of one class.
        margin: m, in [0, 1]: positives should be above 1 - m, negatives below m (paper: 0.4 for
            retrieval; 0.25 for faces and people).
        scale: gamma, > 0 (paper: 80 for retrieval; 256 for faces, 128 for people).

    Returns:
        () mean over the rows that have a positive and a negative, >= 0, in float32 (float64 for
        float64); 0, with a gradient of 0, where none has.

    Raises:
        ValueError: shapes do not match; margin out of its range; scale <= 0.
    """
    _check.fraction(margin=margin)
    _check.positive(scale=scale)
    rows = centred(embeddings, labels, normalise=True)
    exponents, counted = by_tiles(_exponents, rows, labels, margin, scale).unbind(1)  # (N,)
    return (F.softplus(exponents) * counted).sum() / counted.sum().clamp_min(1)


def _exponents(tile: PairTile, margin: float, scale: float) -> Tensor:
    """Return the sum of both log-sum-exps of each row, and whether it has both, (I, 2)."""
    cosines = 1 - tile.squares / 2
    known = cosines.detach()
    repel = scale * (known + margin).relu() * (cosines - margin)
    attract = -scale * (1 + margin - known).relu() * (cosines - 1 + margin)
    nothing = torch.finfo(cosines.dtype).min / 8  # below every exponent, and finite
    total = repel.masked_fill(~tile.negative, nothing).logsumexp(1)
    total = total + attract.masked_fill(~tile.positive, nothing).logsumexp(1)
    both = tile.negative.any(1) & tile.positive.any(1)
    return torch.stack([total.where(both, 0), both.to(total.dtype)], dim=1)
