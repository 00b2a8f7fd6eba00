"""Whether a search finds images of the query's class: R@K, R-precision, MAP@R, mAP, CMC.

MAP@R: Musgrave, Belongie, Lim 2020, arXiv:2003.08505. Junk by camera and the trapezoid: the
protocol of Market-1501, Zheng et al. 2015. Every rank is exact, whatever the class sizes: a block
of queries is compared with the whole gallery, the scores of each are sorted once, as far down as
is asked for, and those of the query's class are looked up in them. Memory is O(N D + block).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lookalike import _check
from lookalike.embeddings import Embeddings
from lookalike.pairwise.similarity import unit_rows

BLOCK = 2**22  # scores held at once: 16 MiB, and as much again sorted

Distance = Literal["cosine", "euclidean"]
AveragePrecision = Literal["standard", "trapezoid"]
Cameras = npt.NDArray[np.integer] | Sequence[int]


@dataclass(frozen=True, kw_only=True)
class Retrieval:
    """How well a search finds a query's class, averaged over the queries that have any to find.

    R is the number of images that a query should find.

    Attributes:
        recall_at_k: by K, the share of queries with one or more of their class in the first K.
        cmc: the same for each K from 1 to the largest asked for: the curve of re-identification.
        r_precision: mean share of the first R that are of the query's class.
        map_at_r: mean of (1 / R) times the sum, over those of them in the first R, of the
            precision at their place.
        mean_average_precision: mean over queries of the average precision over the whole list;
            None if it was not asked for.
        queries: how many were averaged over.
        without_relevant: labelled queries left out because the gallery has nothing to find.
    """

    recall_at_k: Mapping[int, float]
    cmc: tuple[float, ...]
    r_precision: float
    map_at_r: float
    mean_average_precision: float | None
    queries: int
    without_relevant: int


class _Gallery(NamedTuple):
    """The images to find, ready to be compared.

    keys: (N, D) rows whose product with a query grows as they come nearer.
    penalty: (N,) taken from those products; None if nothing is.
    first: (N,) the first column with the same vector; None where no two are the same.
    by_class: (N,) columns, class by class.
    cameras: (N,).
    """

    keys: Tensor
    penalty: Tensor | None
    first: Tensor | None
    by_class: Tensor
    cameras: Tensor


class _Queries(NamedTuple):
    """Some queries, likewise.

    rows: (B, D).
    itself: (B,) the query's own column, -1 if it is not in the gallery.
    start: (B,) where its class begins in `by_class`.
    fellows: (B,) images of its class there.
    cameras: (B,).
    """

    rows: Tensor
    itself: Tensor
    start: Tensor
    fellows: Tensor
    cameras: Tensor


def retrieval(
    queries: Embeddings,
    gallery: Embeddings | None = None,
    *,
    ks: Sequence[int] = (1, 2, 4, 8),
    distance: Distance = "cosine",
    average_precision: AveragePrecision | None = "standard",
    query_cameras: Cameras | None = None,
    gallery_cameras: Cameras | None = None,
    device: torch.device | str = "cpu",
) -> Retrieval:
    """Rank a gallery for each labelled query, and judge the ranks by the labels.

    Without a gallery each query searches all others; it is left out by its position, so an exact
    copy of it is found. Images without a label, -1, are junk: neither asked about nor ranked.
    Equally near images rank in the gallery's order, and copies are equally near.

    Args:
        queries: the images asked about.
        gallery: the images ranked, labelled in the same numbers; none: the other queries.
        ks: >= 1, the K of R@K.
        distance: cosine, whatever the lengths, or Euclidean between the vectors as they are.
        average_precision: standard: the mean of the precision at each image of the class;
            trapezoid: of the mean of that precision and the one just before it, Market-1501's;
            None: leave it out. It alone needs the whole list, which takes longer.
        query_cameras: (M,) who took each query; images of its class by the same camera are junk
            to it. None: no image is.
        gallery_cameras: (N,) who took each image of the gallery, if there is one.
        device: where to compute.

    Raises:
        ValueError: widths differ, a vector is not finite, an option is out of its range, cameras
            are not one an image, or no query has anything to find.
    """
    _check.one_of(("cosine", "euclidean"), distance=distance)
    if average_precision is not None:
        _check.one_of(("standard", "trapezoid"), average_precision=average_precision)
    _check.at_least(1, ks=min(ks, default=0))
    cameras = _cameras(queries, gallery, query_cameras, gallery_cameras)
    alone, gallery = gallery is None, queries if gallery is None else gallery
    _check.same_width(queries=queries.vectors, gallery=gallery.vectors)
    asked, ranked = (np.flatnonzero(each.labels >= 0) for each in (queries, gallery))
    images = _finite(gallery.vectors[ranked], "gallery", device)
    rows, keys, penalty = _comparable(
        images if alone else _finite(queries.vectors[asked], "queries", device), images, distance
    )
    classes, number = np.unique(gallery.labels[ranked], return_inverse=True)
    sizes = np.bincount(number, minlength=len(classes) + 1)  # and one class without images
    own = np.searchsorted(classes, queries.labels[asked])
    own[~np.isin(queries.labels[asked], classes)] = len(classes)
    order = np.argsort(sizes[own], kind="stable")  # so that a block's classes are of like sizes

    def put(array: npt.NDArray[np.integer]) -> Tensor:
        return torch.from_numpy(np.asarray(array, dtype=np.int64)).to(device)

    searched = _Gallery(
        keys,
        penalty,
        _first_copies(keys),
        put(np.argsort(number, kind="stable")),
        put(cameras[1][ranked]),
    )
    itself = np.arange(len(asked)) if alone else np.full(len(asked), -1)
    asking = _Queries(
        rows[put(order)],
        put(itself[order]),
        put((sizes.cumsum() - sizes)[own][order]),
        put(sizes[own][order]),
        put(cameras[0][asked][order]),
    )
    height = max(1, BLOCK // max(1, len(keys)))
    blocks = [
        _judge(
            *_ranks(
                _Queries(*(each[start : start + height] for each in asking)),
                searched,
                depth=max(ks) if average_precision is None else len(keys),
            ),
            average_precision,
        )
        for start in range(0, len(asked), height)
    ]
    judged = np.concatenate([*blocks, np.zeros((0, 4))])  # (queries with something to find, 4)
    if not len(judged):
        raise ValueError("no query has another image of its class to find in the gallery")
    cmc = tuple(float((judged[:, 0] < k).mean()) for k in range(1, max(ks) + 1))
    return Retrieval(
        recall_at_k={k: cmc[k - 1] for k in ks},
        cmc=cmc,
        r_precision=float(judged[:, 1].mean()),
        map_at_r=float(judged[:, 2].mean()),
        mean_average_precision=float(judged[:, 3].mean()) if average_precision else None,
        queries=len(judged),
        without_relevant=len(asked) - len(judged),
    )


def _cameras(
    queries: Embeddings,
    gallery: Embeddings | None,
    query_cameras: Cameras | None,
    gallery_cameras: Cameras | None,
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]]:
    """Return the cameras of queries and gallery, checked; if there are none, two that differ."""
    if gallery is None:
        if gallery_cameras is not None:
            raise ValueError("gallery_cameras must be None where queries search each other")
        gallery, gallery_cameras = queries, query_cameras
    if query_cameras is None and gallery_cameras is None:
        return np.zeros(len(queries), np.int64), np.ones(len(gallery), np.int64)
    if query_cameras is None or gallery_cameras is None:
        raise ValueError("query_cameras and gallery_cameras must be given together")
    asked, ranked = np.asarray(query_cameras), np.asarray(gallery_cameras)
    _check.labels_of(len(queries), query_cameras=asked)
    _check.labels_of(len(gallery), gallery_cameras=ranked)
    return asked, ranked


def _finite(vectors: npt.NDArray[np.float32], name: str, device: torch.device | str) -> Tensor:
    rows = torch.from_numpy(vectors).to(device)
    if not bool(rows.isfinite().all()):
        raise ValueError(f"{name} holds vectors that are not finite")
    return rows


def _comparable(
    queries: Tensor, gallery: Tensor, distance: Distance
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return rows, keys and a penalty: rows . keys - penalty rises as a key comes nearer.

    Of a squared distance only 2 q . g - |g|^2 tells keys apart; both sides are first moved so that
    the gallery's mean is 0, for float32 loses small differences of large numbers.
    """
    if distance == "cosine":
        keys, penalty = unit_rows(gallery), None
        return keys if queries is gallery else unit_rows(queries), keys, penalty
    middle = gallery.mean(dim=0, dtype=torch.float64).float()
    rows, keys = queries - middle, gallery - middle
    return rows, keys, keys.square().sum(dim=1) / 2


def _first_copies(keys: Tensor) -> Tensor | None:
    """Return the first column that holds each key's very numbers; None if no two keys are equal.

    The last bit of a product can depend on its column, so copies take the score of the first.
    """
    seen: dict[bytes, int] = {}
    first = [
        seen.setdefault(hashlib.blake2b(row.data, digest_size=16).digest(), column)
        for column, row in enumerate(keys.cpu().numpy())
    ]
    return None if len(seen) == len(keys) else torch.tensor(first, device=keys.device)


def _ranks(queries: _Queries, gallery: _Gallery, *, depth: int) -> tuple[Tensor, Tensor]:
    """Return the ranks of what each query should find, from 0 and ascending, and how many.

    Ranks are (B, W), W the images of the block's largest class. Beyond a query's own they are N.
    They are exact below `depth` and W, at least that above.
    """
    scores = queries.rows @ gallery.keys.T  # (B, N)
    if gallery.penalty is not None:
        scores -= gallery.penalty
    if gallery.first is not None:
        scores = scores[:, gallery.first]
    width = int(queries.fellows.max())
    if not width:
        return queries.fellows.new_zeros(len(scores), 0), queries.fellows
    place = torch.arange(width, device=scores.device)
    within = place < queries.fellows[:, None]  # (B, W)
    columns = gallery.by_class[(queries.start[:, None] + place).clamp(max=scores.shape[1] - 1)]
    junk = columns == queries.itself[:, None]
    junk |= gallery.cameras[columns] == queries.cameras[:, None]
    row, where = (junk & within).nonzero(as_tuple=True)
    scores[row, columns[row, where]] = -torch.inf
    wanted = within & ~junk
    found = scores.gather(1, columns)  # (B, W)
    # one more than is looked at shows whether the last of these has an equal
    ordered = _highest(scores, max(depth, width) + 1)
    last = torch.searchsorted(ordered, found, right=True)  # behind it and its equals
    ranks = ordered.shape[1] - last
    # the one before the last of its equals is an equal only if there are two of them
    tied = wanted & (last > 1) & (ordered.gather(1, (last - 2).clamp(min=0)) == found)
    ranks += _equals_before(scores, columns, tied)
    ranks.masked_fill_(~wanted, scores.shape[1])
    return _highest(ranks, width), wanted.sum(dim=1)


def _equals_before(scores: Tensor, columns: Tensor, tied: Tensor) -> Tensor:
    """Return how many equal scores lie before each tied column in its row; (B, W), 0 if not tied.

    Ties are few a row, unless an encoder has collapsed, so rows are looked at one by one.
    """
    before = torch.zeros(tied.shape, dtype=torch.int64)
    for row in tied.any(dim=1).nonzero().squeeze(1).tolist():
        where = tied[row].cpu()
        line = scores[row].cpu().numpy()
        asked = columns[row].cpu()[where].numpy()
        equal = np.flatnonzero(np.isin(line, line[asked]))
        order = np.argsort(line[equal], kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))  # of each, by score and then by column
        start = np.searchsorted(line[equal][order], line[asked])
        before[row, where] = torch.from_numpy(place[np.searchsorted(equal, asked)] - start)
    return before.to(scores.device)


def _highest(rows: Tensor, count: int) -> Tensor:
    """Return the highest so many of each row, or all of them, ascending.

    On a CPU NumPy's vectorised sort takes a small part of the time of torch's.
    """
    count = min(count, rows.shape[1])
    if rows.device.type != "cpu":
        return rows.topk(count, dim=1).values.flip(1)

    def sort(part: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if count < part.shape[1] // 4:
            part = np.partition(part, part.shape[1] - count, axis=1)[:, part.shape[1] - count :]
        return np.sort(part, axis=1)[:, -count:]

    if torch.get_num_threads() == 1:
        return torch.from_numpy(np.ascontiguousarray(sort(rows.numpy())))
    parts = np.array_split(rows.numpy(), torch.get_num_threads())
    with ThreadPoolExecutor(len(parts)) as pool:  # NumPy sorts without Python's lock
        return torch.from_numpy(np.concatenate(list(pool.map(sort, parts))))


def _judge(
    ranks: Tensor, relevant: Tensor, average_precision: AveragePrecision | None
) -> npt.NDArray[np.float64]:
    """Return (first rank, R-precision, MAP@R, AP) of each query that has something to find.

    Args:
        ranks: (B, W) of what it should find, from 0 and ascending; of those beyond, anything.
        relevant: (B,) how many these are, R.
        average_precision: see `retrieval`.
    """
    asked = relevant > 0
    ranks, count = ranks[asked].double(), relevant[asked, None].double()
    if not len(ranks):
        return np.zeros((0, 4))
    place = torch.arange(ranks.shape[1], device=ranks.device)
    there = place < count
    precision = (place + 1) / (ranks + 1)
    early = there & (ranks < count)
    area = precision
    if average_precision == "trapezoid":
        before = torch.where(ranks > 0, place / ranks.clamp(min=1), 1.0)
        area = (before + precision) / 2
    sums = [early.double(), precision * early, area * there]
    means = [each.sum(dim=1, keepdim=True) / count for each in sums]
    return torch.cat([ranks[:, :1], *means], dim=1).cpu().numpy()
