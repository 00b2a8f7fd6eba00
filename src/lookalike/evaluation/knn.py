"""Nearest neighbours vote, weighted by similarity. NPID: Wu et al. 2018, arXiv:1805.01978, 3.4.

Each neighbour's vote weighs exp(cosine / temperature). Everything is exact: similarities are taken
a block at a time, and images that tie for the last seats share them, so no result depends on the
order of the bank.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lookalike import _check
from lookalike.embeddings import Embeddings
from lookalike.pairwise.similarity import top_k, unit_rows

TIE = 1e-6  # cosines this close are equal: float32 products of unit vectors round by about 1e-7
BLOCK = 2**24  # similarities held at once where ties are settled


class Votes(NamedTuple):
    """How a bank voted on some queries.

    shares: (M, C) float32, each row the share of the votes that each class got, adding up to 1.
    classes: (C,) int64, the labels that the columns stand for, ascending.
    """

    shares: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]

    @property
    def predictions(self) -> npt.NDArray[np.int64]:
        """(M,) int64 labels with the most votes; of equals, the lowest."""
        most = self.shares.max(axis=1, keepdims=True)
        winners = (self.shares >= most * (1 - 1e-5)).argmax(axis=1)
        return np.asarray(self.classes[winners])


def knn_votes(
    bank: Embeddings,
    queries: Embeddings,
    *,
    k: int,
    temperature: float = 0.1,
    device: torch.device | str = "cpu",
) -> Votes:
    """Let the k most similar images of a bank vote on the class of each query.

    Args:
        bank: the images that vote; those without a label do not. Any scale: cosine is compared.
        queries: the images asked about, labelled in the same numbers.
        k: >= 1, voters for each query; all of the bank if it holds fewer.
        temperature: > 0; infinity makes it a plain majority vote.
        device: where to compute.

    Raises:
        ValueError: widths differ, no image of the bank has a label, k < 1, temperature <= 0, or a
            vector is not finite.
    """
    return _votes(bank, queries, k=k, temperature=temperature, device=device, itself=False)


def leave_one_out_votes(
    images: Embeddings,
    *,
    k: int,
    temperature: float = 0.1,
    device: torch.device | str = "cpu",
) -> Votes:
    """Let the k most similar OTHER images vote on each labelled image; arguments as `knn_votes`.

    An image is left out by its position, so an exact copy of it does vote. Rows of the result are
    those of the labelled images.
    """
    labelled = images.select(np.flatnonzero(images.labels >= 0))
    if len(labelled) < 2:
        raise ValueError(f"leaving one out needs 2 labelled images, got {len(labelled)}")
    return _votes(labelled, labelled, k=k, temperature=temperature, device=device, itself=True)


def knn_accuracy(
    bank: Embeddings,
    queries: Embeddings,
    *,
    k: int,
    temperature: float = 0.1,
    device: torch.device | str = "cpu",
) -> float:
    """Return the share of labelled queries whose class gets the most votes; see `knn_votes`."""
    labelled = queries.select(np.flatnonzero(queries.labels >= 0))
    votes = knn_votes(bank, labelled, k=k, temperature=temperature, device=device)
    return accuracy(votes.predictions, labelled.labels)


def leave_one_out_accuracy(
    images: Embeddings,
    *,
    k: int,
    temperature: float = 0.1,
    device: torch.device | str = "cpu",
) -> float:
    """Return the share of labelled images classified right by the others; see `knn_votes`."""
    votes = leave_one_out_votes(images, k=k, temperature=temperature, device=device)
    return accuracy(votes.predictions, images.labels[images.labels >= 0])


def accuracy(predictions: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]) -> float:
    """Return the share of equal entries of two (M,) arrays, compared as integers.

    Raises:
        ValueError: shapes differ or are empty.
    """
    if predictions.shape != labels.shape or not len(labels):
        raise ValueError(
            f"want as many predictions as labels, at least 1, got {predictions.shape} "
            f"and {labels.shape}"
        )
    return float((predictions == labels).mean())


def _votes(
    bank: Embeddings,
    queries: Embeddings,
    *,
    k: int,
    temperature: float,
    device: torch.device | str,
    itself: bool,
) -> Votes:
    """Vote; `itself` says that queries are the bank, and that row i may not vote on row i."""
    _check.same_width(bank=bank.vectors, queries=queries.vectors)
    _check.at_least(1, k=k, queries=len(queries))
    _check.positive(temperature=temperature)
    voters = np.flatnonzero(bank.labels >= 0)
    if not len(voters):
        raise ValueError("no image of the bank has a label, so none can vote")
    classes, numbers = np.unique(bank.labels[voters], return_inverse=True)
    keys = _unit(bank.vectors[voters], name="bank", device=device)
    asked = keys if itself else _unit(queries.vectors, name="queries", device=device)
    seats = min(k, len(keys) - itself)
    number = torch.from_numpy(numbers).to(device)  # (N,) column of each voter
    shares = torch.zeros(len(asked), len(classes), device=device)

    # one neighbour more than there are seats shows whether the last seat is contested
    cosines, neighbours = top_k(
        asked, keys, min(seats + 1, len(keys) - itself), exclude_self=itself
    )
    weights = _weights(cosines, temperature)
    shares.scatter_add_(1, number[neighbours[:, :seats]], weights[:, :seats])
    if cosines.shape[1] > seats:
        contested = (cosines[:, seats - 1] - cosines[:, seats] <= TIE).nonzero().squeeze(1)
        for rows in torch.split(contested, max(1, BLOCK // len(keys))):
            block = asked[rows] @ keys.T
            if itself:
                block[torch.arange(len(rows), device=block.device), rows] = -torch.inf
            weights = _weights(block, temperature) * _seats_taken(block, seats)
            shares[rows] = torch.zeros_like(shares[rows]).index_add_(1, number, weights)
    shares /= shares.sum(dim=1, keepdim=True)
    return Votes(shares.cpu().numpy(), classes)


def _weights(cosines: Tensor, temperature: float) -> Tensor:
    """Return exp(cosine / temperature), divided by each row's largest so that none overflows."""
    return ((cosines - cosines.amax(dim=1, keepdim=True)) / temperature).exp()


def _seats_taken(cosines: Tensor, seats: int) -> Tensor:
    """Return the part of a seat that each image gets: a clear winner 1, those that tie equal parts.

    cosines is (R, N) to all images, N > seats.
    """
    last = cosines.topk(seats, dim=1).values[:, -1:]
    above = cosines > last + TIE
    level = (cosines >= last - TIE) & ~above
    left = seats - above.sum(dim=1, keepdim=True)
    return above + level * (left / level.sum(dim=1, keepdim=True))


def _unit(vectors: npt.NDArray[np.float32], *, name: str, device: torch.device | str) -> Tensor:
    rows = torch.from_numpy(vectors).to(device)
    if not bool(rows.isfinite().all()):
        raise ValueError(f"{name} holds vectors that are not finite")
    return unit_rows(rows)
