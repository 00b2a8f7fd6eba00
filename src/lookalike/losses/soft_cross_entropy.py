"""Cross entropy against probabilities: labels that are smoothed, mixed, or not known."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike import _check


def soft_cross_entropy_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """How badly logits predict probabilities.

    Args:
        logits: (N, C), N >= 1.
        targets: (N, C), >= 0, rows that sum to 1; an empty row, of zeros, asks for nothing.

    Returns:
        () mean over all N rows, the empty ones too, of -sum over C of target * log softmax(logits),
        in [0, inf), in nats.

    Raises:
        ValueError: shapes differ, or there is no row.
    """
    _check.same_shape(logits=logits, targets=targets)
    _check.at_least(1, rows=len(logits))
    precision = torch.promote_types(logits.dtype, torch.float32)
    return F.cross_entropy(logits.to(precision), targets.to(precision))
