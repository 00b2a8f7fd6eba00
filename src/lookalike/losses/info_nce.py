"""InfoNCE: find a query's own key. van den Oord et al. 2018, arXiv:1807.03748, equation 4.

With cosines over a temperature, as in MoCo: He et al. 2019, arXiv:1911.05722, equation 1.
"""

import torch
from torch import Tensor

from lookalike import _check
from lookalike.pairwise.similarity import row_logsumexp, unit_rows


def info_nce_loss(
    query: Tensor,
    key: Tensor,
    negatives: Tensor | None = None,
    *,
    temperature: float = 0.1,
    normalise: bool = True,
) -> Tensor:
    """Cross entropy of finding each query's own key among its candidates.

    Memory is O((B + K) D); the arithmetic is that of `similarity`, float32 or float64.

    Args:
        query: (B, D).
        key: (B, D), row i belonging to row i of `query`.
        negatives: (K, D) rows of norm 1, taken as they are: a queue is neither copied nor
            normalised again. With them a query's candidates are its own key and these; without,
            all B keys.
        temperature: > 0; lower weighs the nearest negatives more.
        normalise: compare cosines of queries and keys, as MoCo does; otherwise raw dot products:
            with W c for a query, CPC's log-bilinear score.

    Returns:
        () mean over the queries, in nats, >= 0; a blind guess among n candidates gives log(n), so
        log(n) less the loss bounds the mutual information from below. The gradient reaches every
        argument that asks for one. A row of norm 0 has cosine 0 with every row.

    Raises:
        ValueError: shapes do not match; temperature <= 0.

    >>> blind = torch.zeros(4, 8)  # and so no better than a guess
    >>> queue = torch.eye(8)
    >>> bool(info_nce_loss(blind, blind, queue).isclose(torch.tensor(9.0).log()))
    True
    """
    _check.same_matrix(query=query, key=key)
    _check.positive(temperature=temperature)
    if normalise:
        query, key = unit_rows(query), unit_rows(key)
    else:
        precision = torch.promote_types(query.dtype, torch.float32)
        query, key = query.to(precision), key.to(precision)
    positive = (query * key).sum(1) / temperature  # (B,)
    if negatives is None:
        candidates = row_logsumexp(query, key, scale=1 / temperature)  # (B,)
    else:
        others = row_logsumexp(query, negatives, scale=1 / temperature)  # (B,)
        candidates = torch.logaddexp(positive, others)
    loss: Tensor = (candidates - positive).mean()
    return loss
