"""Images in groups by cosine, and how well groups agree with labels: NMI, AMI, ARI, F, B-cubed.

The groups come from scikit-learn; the scores are read off the table of clusters by classes.
AMI: Vinh, Epps, Bailey 2010, JMLR 11, eq. 24. ARI: Hubert and Arabie 1985. B-cubed: Bagga and
Baldwin 1998; Amigo et al. 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from lookalike import _check
from lookalike.embeddings import Embeddings
from lookalike.errors import LookalikeError
from lookalike.pairwise.similarity import unit_rows

STARTS = 10  # of k-means; the tightest is kept
LARGEST_TREE = 10_000  # images whose distances, all to all, take 400 MB

Method = Literal["kmeans", "agglomerative", "hdbscan"]
Integers = npt.NDArray[np.int64]


def cluster(
    embeddings: Embeddings,
    *,
    method: Method = "kmeans",
    clusters: int | None = None,
    distance: float | None = None,
    smallest: int = 5,
    seed: int = 0,
) -> Integers:
    """Group images whose vectors point the same way; their lengths do not count.

    Args:
        embeddings: what to group; labels are not looked at.
        method: kmeans: as many compact groups as asked, the best of 10 starts; agglomerative: join
            the two groups of least average distance until so many are left, or none is near
            enough; hdbscan: dense groups, however many, and what lies between in none.
        clusters: how many, in [1, N]; kmeans needs it.
        distance: cosine distance, in (0, 2], up to which agglomerative joins groups; instead of
            `clusters`.
        smallest: images that make a dense group, >= 2; for hdbscan.
        seed: of k-means' starts.

    Returns:
        (N,) the cluster of each image, numbered from 0, the largest first; of equals, the one
        with the earlier image. -1 is in none.

    Raises:
        ValueError: an option is out of its range, missing, or not one of this method; there are
            no images, or too many for a tree; a vector is not finite.
        LookalikeError: scikit-learn is not installed.
    """
    _check.at_least(1, embeddings=len(embeddings))
    check_options(len(embeddings), method, clusters, distance, smallest)
    if not np.isfinite(embeddings.vectors).all():
        raise ValueError("embeddings holds vectors that are not finite")
    rows = unit_rows(torch.from_numpy(embeddings.vectors)).numpy()
    if method == "hdbscan" and len(rows) < smallest:
        return np.full(len(rows), -1)
    if len(rows) == 1:
        return np.zeros(1, dtype=np.int64)
    sklearn = scikit_learn()
    if method == "kmeans":
        algorithm = sklearn.KMeans(clusters, n_init=STARTS, random_state=seed)
    elif method == "hdbscan":
        algorithm = sklearn.HDBSCAN(min_cluster_size=smallest, copy=True)
    else:
        algorithm = sklearn.AgglomerativeClustering(
            clusters,
            # on the unit sphere twice the cosine distance, which zero vectors do not have
            metric="sqeuclidean",
            linkage="average",
            distance_threshold=None if distance is None else 2 * distance,
        )
    return _largest_first(np.asarray(algorithm.fit_predict(rows), dtype=np.int64))


def check_options(
    count: int, method: str, clusters: int | None, distance: float | None, smallest: int
) -> None:
    """Raise ValueError unless `cluster` can group so many images with these options."""
    _check.one_of(("kmeans", "agglomerative", "hdbscan"), method=method)
    _check.at_least(2, smallest=smallest)
    if clusters is not None and not 1 <= clusters <= count:
        raise ValueError(f"clusters must be in [1, {count}], the images, got {clusters}")
    if distance is not None and not 0 < distance <= 2:
        raise ValueError(f"distance must be a cosine distance in (0, 2], got {distance}")
    if method == "kmeans" and (clusters is None or distance is not None):
        raise ValueError("kmeans wants clusters, and no distance")
    if method == "agglomerative" and (clusters is None) == (distance is None):
        raise ValueError("agglomerative wants clusters or distance, one of them")
    if method == "hdbscan" and (clusters is not None or distance is not None):
        raise ValueError("hdbscan finds how many by itself: it wants neither clusters nor distance")
    if method == "agglomerative" and count > LARGEST_TREE:
        raise ValueError(
            f"agglomerative compares all with all, so at most {LARGEST_TREE:,} images, got "
            f"{count:,}\n  fix: kmeans or hdbscan, or fewer images"
        )


def scikit_learn() -> Any:
    """Return scikit-learn's module of clusters.

    Raises:
        LookalikeError: it is not installed.
    """
    try:
        import sklearn.cluster  # noqa: PLC0415  an optional extra
    except ImportError as problem:
        raise LookalikeError(
            "clusters need scikit-learn, which is not installed\n"
            "  fix: pip install 'lookalike[cluster]'"
        ) from problem
    return sklearn.cluster


def _largest_first(clusters: Integers) -> Integers:
    """Return the same clusters, numbered by size; -1 stays."""
    known = clusters >= 0
    _, first, number, sizes = np.unique(
        clusters[known], return_index=True, return_inverse=True, return_counts=True
    )
    place = np.empty(len(sizes), dtype=np.int64)
    place[np.lexsort((first, -sizes))] = np.arange(len(sizes))
    renamed = np.full(len(clusters), -1, dtype=np.int64)
    renamed[known] = place[number]
    return renamed


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How well clusters agree with labels. 1 is the same grouping.

    Attributes:
        nmi: mutual information over the arithmetic mean of the two entropies, in [0, 1]. It rises
            with the number of clusters, whatever they are.
        ami: the same, less what clusters of these sizes get by chance: about 0 for a blind guess.
        ari: pairs of images that both put together or both apart, likewise adjusted, in [-0.5, 1].
        pairwise_f: F1 of the pairs that clusters put together, in [0, 1].
        bcubed_f: F1 of the means over images of the share of its cluster that is of its class, and
            the share of its class that is in its cluster, in (0, 1].
    """

    nmi: float
    ami: float
    ari: float
    pairwise_f: float
    bcubed_f: float


def compare_with_labels(clusters: Integers, labels: Integers) -> Agreement:
    """Score clusters by labels.

    Args:
        clusters: (N,) cluster of each image; one in none, -1, counts as a cluster of its own.
        labels: (N,) class of each image; one without, -1, is left out.

    Raises:
        ValueError: shapes differ, or no image has a label.
    """
    _check.labels_of(len(clusters), labels=labels)
    known = labels >= 0
    _check.at_least(1, labelled_images=int(known.sum()))
    clusters, labels = clusters[known].copy(), labels[known]
    alone = np.flatnonzero(clusters < 0)
    clusters[alone] = clusters.max(initial=0) + 1 + np.arange(len(alone))
    cluster, by_cluster = _number(clusters)
    kind, by_class = _number(labels)
    cells, counts = np.unique(cluster * len(by_class) + kind, return_counts=True)
    inside, of = by_cluster[cells // len(by_class)], by_class[cells % len(by_class)]
    if len(cells) == len(by_cluster) == len(by_class):  # the same groups under other names
        return Agreement(nmi=1.0, ami=1.0, ari=1.0, pairwise_f=1.0, bcubed_f=1.0)

    total = len(labels)
    shared = float((counts / total * np.log(total * (counts / inside) / of)).sum())
    entropy = (_entropy(by_cluster) + _entropy(by_class)) / 2
    chance = _expected_information(by_cluster, by_class)
    together, put, belong = (_pairs(sizes) for sizes in (counts, by_cluster, by_class))
    expected = put * belong / max(1, _pairs(np.array([total])))
    precision, recall = ((counts / sizes * counts).sum() / total for sizes in (inside, of))
    return Agreement(
        nmi=min(1.0, max(0.0, shared / entropy)),
        ami=_ratio(shared - chance, entropy - chance),
        ari=_ratio(together - expected, (put + belong) / 2 - expected),
        pairwise_f=_ratio(2 * together, put + belong),
        bcubed_f=float(2 * precision * recall / (precision + recall)),
    )


def _number(values: Integers) -> tuple[Integers, Integers]:
    """Return each value's place among the different ones, and how often each of these is there."""
    _, number, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return number, sizes


def _pairs(sizes: Integers) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def _ratio(part: float, whole: float) -> float:
    """Return part / whole; 0 where rounding is all there is of the whole."""
    return part / whole if abs(whole) > 1e-12 else 0.0


def _entropy(sizes: Integers) -> float:
    shares = sizes / sizes.sum()
    return float(-(shares * np.log(shares)).sum())


def _expected_information(first: Integers, second: Integers) -> float:
    """Return the mean mutual information, in nats, of groupings of these sizes put at random.

    How many images a cluster of size a and a class of size b share is hypergeometric then, so each
    pair of sizes needs one sum, however many clusters and classes have them.
    """
    total = int(first.sum())
    logs = np.concatenate([[0.0], np.log(np.arange(1, total + 1)).cumsum()])  # of factorials
    expected = 0.0
    for a, times_a in zip(*np.unique(first, return_counts=True), strict=True):
        for b, times_b in zip(*np.unique(second, return_counts=True), strict=True):
            n = np.arange(max(1, a + b - total), min(a, b) + 1)  # images shared
            ways = logs[a] + logs[b] + logs[total - a] + logs[total - b] - logs[total]
            ways = ways - logs[n] - logs[a - n] - logs[b - n] - logs[total - a - b + n]
            gain = n / total * (np.log(total * n) - np.log(float(a) * float(b)))
            expected += float(times_a * times_b * (gain * np.exp(ways)).sum())
    return expected
