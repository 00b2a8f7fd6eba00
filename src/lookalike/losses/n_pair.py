"""N-pair loss: one positive against those of other classes. Sohn 2016, NeurIPS 29, section 3."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike import _check
from lookalike.losses._classes import pairs_of
from lookalike.losses._softplus import row_softplus
from lookalike.pairwise.similarity import row_logsumexp


def n_pair_loss(
    embeddings: Tensor,
    labels: Tensor,
    *,
    norm_penalty: float = 0.002,
    form: Literal["multi_class", "one_versus_one"] = "multi_class",
) -> Tensor:
    """Tell an anchor's positive from the positives of other classes' anchors, by dot products.

    Within a class the first row is an anchor and the second its positive, so the third and fourth,
    and so on; a last row without a partner takes no part. With m[i, j] = anchor i . positive j -
    anchor i . positive i, over the positives j of other classes, the loss of a pair is
    log(1 + sum of exp(m)), or the sum of log(1 + exp(m)) one versus one. Memory is O(N D); the
    arithmetic is that of `similarity`, float32 or float64.

    Args:
        embeddings: (N, D), not normalised: their length is part of what is learned.
        labels: (N,) integers, any; equal ones are of one class. The paper has two rows a class.
        norm_penalty: >= 0, weight of a quarter of the mean squared norm of the anchors plus that of
            the positives: where dot products stand for cosines, something must bound the norms.
        form: one softmax over all (the paper's choice), or a sigmoid for each.

    Returns:
        () mean over the pairs, in nats, >= 0. Where all rows are 0 and n pairs are of n classes it
        is log(n), or (n - 1) log(2). 0 where there is no pair.

    Raises:
        ValueError: shapes do not match; norm_penalty < 0; there is no such form.

    Deviations: a class may have several pairs, and none of them is a negative of another. The
    penalty's quarter is that of the usual implementations.
    """
    _check.matrix(embeddings=embeddings)
    _check.labels_of(embeddings.shape[0], labels=labels)
    _check.at_least(0, norm_penalty=norm_penalty)
    _check.one_of(("multi_class", "one_versus_one"), form=form)
    z = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
    first, second, counted = pairs_of(labels)  # (P,), P = N // 2
    anchors, positives = z[first], z[second]  # (P, D)
    own = (anchors * positives).sum(1)  # (P,)
    # One more coordinate puts the positives of pairs that are none out of reach.
    reach = own.new_zeros(own.shape).masked_fill(~counted, torch.finfo(z.dtype).min / 2)
    rows = torch.cat([anchors, torch.ones_like(own)[:, None]], dim=1)  # (P, D + 1)
    columns = torch.cat([positives, reach[:, None]], dim=1)
    classes = labels[first]
    if form == "multi_class":
        others = row_logsumexp(rows, columns, row_labels=classes, among="different")
        terms = -F.logsigmoid(own - others)
    else:
        terms = row_softplus(
            rows,
            columns,
            -own,
            scale=1.0,
            row_labels=classes,
            column_labels=classes,
            among="different",
        )
    norms = anchors.square().sum(1) + positives.square().sum(1)  # (P,)
    terms = terms + norm_penalty / 4 * norms
    return terms.where(counted, 0.0).sum() / counted.sum().clamp_min(1)
