"""Probabilistic knowledge transfer (PKT). Passalis & Tefas 2018, arXiv:1803.10837, section 3."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike.losses._relations import pair_of, sum_over_rows
from lookalike.pairwise.similarity import unit_rows


def pkt_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Kullback-Leibler divergence of who is near whom in a batch, student's from teacher's.

    Row i takes row j with a probability proportional to (1 + cosine) / 2. Neither rotating a side
    nor scaling any row of it changes it. Memory is O(B D) and a few rows of cosines; arithmetic is
    float32 or float64.

    Args:
        student: (B, D_S), B >= 1; what has more dimensions is flattened.
        teacher: (B, D_T), row i of the image of row i of `student`; gets no gradient.

    Returns:
        () mean over the rows of KL(teacher's, student's), in nats, >= 0 but for rounding. The
        authors' code divides by B once more, so that its weight of 30,000 in batches of 64 is 469
        here. 0 where B is 1. A row of norm 0 has cosine 0 with every row, itself included.

    Raises:
        ValueError: the numbers of rows differ or are 0; a tensor has one dimension.

    Deviations: as in the authors' code, a row is its own neighbour too, which the paper leaves out.
    1e-7 is added to every (1 + cosine) / 2, so that opposite rows have a logarithm.
    """
    student, teacher = (unit_rows(side) for side in pair_of(student, teacher))
    return sum_over_rows(_divergence, student, teacher) / len(student)


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    return F.kl_div(_log_shares(student), _log_shares(teacher), reduction="sum", log_target=True)


def _log_shares(cosines: Tensor) -> Tensor:
    masses = (1 + cosines.clamp_min(-1)) / 2 + 1e-7
    return torch.log(masses / masses.sum(1, keepdim=True))
