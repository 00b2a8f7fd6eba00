"""Triplet loss: positives nearer than negatives. Hermans et al. 2017, arXiv:1703.07737, section 2.

FaceNet's own, Schroff et al. 2015, arXiv:1503.03832, equation 2 and section 3.2, is `mining`
"semi_hard", `margin` 0.2, `distance` "squared_euclidean" and `normalise`.
"""

from typing import Literal

from torch import Tensor

from lookalike import _check
from lookalike.pairwise.distances import Distance, centred
from lookalike.pairwise.triplets import Mining, triplet_sums

Reduction = Literal["mean", "mean_nonzero", "sum"]


def triplet_loss(
    embeddings: Tensor,
    labels: Tensor,
    *,
    margin: float | Literal["soft"] = "soft",
    mining: Mining = "batch_hard",
    distance: Distance = "euclidean",
    normalise: bool = False,
    reduction: Reduction = "mean",
) -> Tensor:
    """max(0, margin + d(a, p) - d(a, n)), or log(1 + exp(d(a, p) - d(a, n))), over mined triplets.

    The defaults are TriNet's: Batch Hard with the soft margin. All minings are exact. Memory is
    O(N D); the arithmetic is that of `triplets`, float32 or float64.

    Args:
        embeddings: (N, D), N >= 1.
        labels: (N,) integers; rows of one label are alike.
        margin: > 0, in units of the distance (FaceNet: 0.2); "soft" is the second form, without.
        mining: the triplets that have a term; an anchor without a positive or a negative has none.
            "batch_hard": an anchor's farthest positive and nearest negative. "batch_all": every
            one. "semi_hard": every anchor and positive, with the nearest negative of which
            d(a, p) < d(a, n) < d(a, p) + margin; a pair without such a one does not count. "hard":
            every anchor and positive, with the anchor's nearest negative. "easy": an anchor's
            nearest positive and farthest negative. "random": every anchor and positive, with a
            negative drawn uniformly from all of the anchor's, by torch's generator.
        distance: Euclidean (TriNet), or its square (FaceNet).
        normalise: bring the rows to norm 1 first, as FaceNet does.
        reduction: "mean" over all terms, "mean_nonzero" over those above 0, or their "sum".

    Returns:
        () >= 0; where all rows are equal the margin, or log(2) if soft, as a mean, but 0 for
        "semi_hard", whose window is then empty. 0, with a gradient of 0, where there is no term:
        all of one label, or none twice. Two rows at distance 0 do not pull or push each other.
        It does not depend on the order of the batch, "random" and equal distances aside.

    Raises:
        ValueError: shapes do not match; margin <= 0, or "soft" with "semi_hard"; no such choice.

    Deviations: "batch_all" with the soft margin waits for the device once, for the size of the
        largest class, which its work depends on.
    """
    _check.one_of(("batch_hard", "batch_all", "semi_hard", "hard", "easy", "random"), mining=mining)
    _check.one_of(("euclidean", "squared_euclidean"), distance=distance)
    _check.one_of(("mean", "mean_nonzero", "sum"), reduction=reduction)
    if margin == "soft":
        if mining == "semi_hard":
            raise ValueError("margin must be a number for mining 'semi_hard', got 'soft'")
    else:
        _check.positive(margin=margin)
    rows = centred(embeddings, labels, normalise=normalise)
    total, active, count = triplet_sums(
        rows,
        labels,
        mining=mining,
        margin=None if margin == "soft" else margin,
        squared=distance == "squared_euclidean",
    )
    if reduction == "sum":
        return total
    return total / (active if reduction == "mean_nonzero" else count).clamp_min(1)
