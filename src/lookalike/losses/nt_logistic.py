"""NT-Logistic: is this the partner, or not? Chen et al. 2020, arXiv:2002.05709, table 2."""

import torch.nn.functional as F
from torch import Tensor

from lookalike import _check
from lookalike.losses._rivals import Negatives, cosines


def nt_logistic_loss(
    z1: Tensor, z2: Tensor, *, temperature: float = 0.1, negatives: Negatives = "all"
) -> Tensor:
    """-log sigmoid(cosine / temperature) of the partner, -log sigmoid(-cosine / temperature) else.

    Memory is O(B^2) with all negatives. The paper does not say how it reduces; here a view's
    negatives are averaged, so that they weigh as much as its one partner.

    Args:
        z1: (B, D) projections of the first views; any scale.
        z2: (B, D) of the second views, row i showing the image of row i of `z1`.
        temperature: > 0.
        negatives: "all" views of other images, or "semi_hard": of those less alike than the
            partner the one most alike; a view without one has the partner's term only.

    Returns:
        () mean over the 2B views, in nats, in [0, 2 * log(1 + exp(1 / temperature))].

    Raises:
        ValueError: shapes differ or are not 2-D; temperature <= 0; there are no such negatives.
    """
    _check.positive(temperature=temperature)
    partner, others, count = cosines(z1, z2, negatives)
    repel = F.softplus(others / temperature).sum(1) / count  # (2B,)
    return F.softplus(-partner / temperature).mean() + repel.mean()
