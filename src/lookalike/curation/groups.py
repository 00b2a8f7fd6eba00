"""Groups of images that are all alike: complete linkage, so that no chain joins what differs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Pairs = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]


def complete_groups(
    pairs: Pairs, scores: Scores, *, threshold: float, score: Callable[[Pairs], Scores]
) -> list[tuple[int, ...]]:
    """Return groups in which every two images score at least the threshold.

    The best pair is taken first. Two groups become one only if all pairs across do as well; a pair
    that was not given is scored then. So if a and b are alike, and b and c, but a and c are not, b
    goes with the one that it is more alike to, and the other stays apart.

    Args:
        pairs: (P, 2), each smaller position first, none twice.
        scores: (P,) how alike they are.
        threshold: the least score of two images in one group.
        score: scores pairs, (Q, 2) -> (Q,).

    Returns:
        groups of two images and more, each rising, in the order of their first images.
    """
    known = {(int(i), int(j)): float(value) for (i, j), value in zip(pairs, scores, strict=True)}
    joined = [pair for pair, value in known.items() if value >= threshold]
    joined.sort(key=lambda pair: (-known[pair], pair))
    groups: dict[int, list[int]] = {}
    for i, j in joined:
        one, other = groups.get(i, [i]), groups.get(j, [j])
        if one is other:
            continue
        across = [(min(a, b), max(a, b)) for a in one for b in other]
        unknown = [pair for pair in across if pair not in known]
        if unknown:
            values = score(np.array(unknown, dtype=np.int64))
            known |= {pair: float(value) for pair, value in zip(unknown, values, strict=True)}
        if all(known[pair] >= threshold for pair in across):
            whole = one + other
            groups |= dict.fromkeys(whole, whole)
    unique = {id(group): tuple(sorted(group)) for group in groups.values()}
    return sorted(unique.values())
