"""What tells that a metric collapses, or that a triplet loss has nothing left to learn from.

Hermans et al. 2017, arXiv:1703.07737, section 4: a flat loss is no stagnation; look at the share
of active triplets, the norms and the distances.
"""

import math

import torch
from torch import Tensor

from lookalike import _check
from lookalike.pairwise.distances import Distance, PairTile, by_tiles, centred
from lookalike.pairwise.triplets import triplet_sums


@torch.no_grad()
def pair_statistics(
    embeddings: Tensor,
    labels: Tensor,
    *,
    margin: float = 0.0,
    distance: Distance = "euclidean",
    normalise: bool = False,
) -> dict[str, Tensor]:
    """Return how a labelled batch lies: who is near, who is far, and what the margin still moves.

    Memory is O(N D).

    Args:
        embeddings: (N, D), N >= 1.
        labels: (N,) integers.
        margin: >= 0, in units of the distance; 0 counts the triplets that are the wrong way round,
            which is what to ask beside a soft margin.
        distance: Euclidean, or its square.
        normalise: bring the rows to norm 1 first, for all but `norm`.

    Returns:
        () each, without gradient: `active_triplets`, the share of all triplets in which
        d(a, p) + margin > d(a, n), in [0, 1]; `positive_distance` and `negative_distance`, means
        over pairs; `hardest_positive` and `hardest_negative`, means over anchors of the farthest
        positive and the nearest negative; `norm`, the mean norm of the embeddings as they came. A
        mean over nothing is 0.

    Raises:
        ValueError: shapes do not match; margin < 0; no such distance.
    """
    _check.at_least(0, margin=margin)
    _check.one_of(("euclidean", "squared_euclidean"), distance=distance)
    rows, squared = centred(embeddings, labels, normalise=normalise), distance != "euclidean"
    _, active, count = triplet_sums(
        rows, labels, mining="batch_all", margin=margin, squared=squared
    )
    sums = by_tiles(_parts, rows, labels, squared).sum(0)  # (4, 2)
    names = "positive_distance", "negative_distance", "hardest_positive", "hardest_negative"
    means = sums[:, 0] / sums[:, 1].clamp_min(1)
    return {
        "active_triplets": active.to(rows.dtype) / count.clamp_min(1),
        **dict(zip(names, means.unbind(), strict=True)),
        "norm": torch.linalg.vector_norm(embeddings.to(rows.dtype), dim=1).mean(),
    }


def _parts(tile: PairTile, squared: bool) -> Tensor:
    """Return what each row adds to each mean, and how much it counts there, (I, 4, 2)."""
    distances = tile.squares if squared else tile.squares.sqrt()
    sums, counts = [], []
    for pairs in (tile.positive, tile.negative):
        sums.append(distances.where(pairs, 0).sum(1))
        counts.append(pairs.sum(1))
    farthest = distances.where(tile.positive, -math.inf).amax(1)
    nearest = distances.where(tile.negative, math.inf).amin(1)
    for one, pairs in ((farthest, tile.positive), (nearest, tile.negative)):
        sums.append(one.where(pairs.any(1), 0))
        counts.append(pairs.any(1))
    return torch.stack([torch.stack(sums, 1), torch.stack(counts, 1).to(distances.dtype)], dim=2)
