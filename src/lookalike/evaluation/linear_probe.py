"""A linear classifier on frozen features: what a straight line through the space can tell apart.

Multinomial logistic regression by L-BFGS over a grid of L2 penalties, as SimCLR judges transfer:
Chen et al. 2020, arXiv:2002.05709, appendix B.8.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lookalike import _check
from lookalike.embeddings import Embeddings
from lookalike.evaluation.knn import accuracy
from lookalike.evaluation.lbfgs import minimise

PENALTIES = tuple(float(value) for value in np.logspace(1, -6, 15))
"""The L2 penalties tried, strongest first: half a penalty times the squared weights is added to the
mean cross entropy in nats, on standardised features."""

ROUGHLY = 1e-2  # tolerance while penalties are compared: close enough to rank them
CLOSELY = 1e-3  # and of the classifier that is asked
PATIENCE = 4  # weaker penalties in a row that may do no better before the search ends


class LinearProbe(NamedTuple):
    """What a linear probe found.

    accuracy: share of labelled queries it gets right, in [0, 1].
    l2: the penalty it chose.
    predictions: (M,) int64 labels of all queries.
    """

    accuracy: float
    l2: float
    predictions: npt.NDArray[np.int64]


def linear_probe(
    train: Embeddings,
    queries: Embeddings,
    *,
    penalties: tuple[float, ...] = PENALTIES,
    held_out: float = 0.2,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> LinearProbe:
    """Fit a linear classifier on labelled features and ask it about others.

    Each channel is standardised by the training features; a constant one says nothing. The penalty
    is the one that does best on a part of the training side held out, the stronger of equals; then
    the classifier is fitted on all of it. The queries choose nothing.

    Args:
        train: features to fit on; those without a label are left out.
        queries: features asked about, labelled in the same numbers; a class that `train` lacks
            counts as wrong.
        penalties: > 0, to choose from.
        held_out: share of each class held out to choose by, in (0, 1); none of a lone image.
        seed: of the draw of these.
        device: where to compute.

    Raises:
        ValueError: widths differ, no label on either side, a vector is not finite, or an argument
            is out of range.
    """
    _check.same_width(train=train.vectors, queries=queries.vectors)
    if not 0 < held_out < 1 or not penalties:
        raise ValueError(f"want held_out in (0, 1) and a penalty, got {held_out} and {penalties}")
    _check.positive(**{"a penalty": min(penalties)})
    known = np.flatnonzero(train.labels >= 0)
    if not len(known):
        raise ValueError("no training image has a label")
    classes, numbers = np.unique(train.labels[known], return_inverse=True)
    features, asked = _standardised(train.vectors[known], queries.vectors, device=device)
    features, asked = _turned(features, asked)
    targets = torch.from_numpy(numbers).to(device)

    penalty, near = _best_penalty(
        features, targets, sorted(penalties, reverse=True), held_out=held_out, seed=seed
    )
    weights = fit(
        features, targets, classes=len(classes), l2=penalty, start=near, tolerance=CLOSELY
    )
    predictions = classes[logits(weights, asked).argmax(dim=1).cpu().numpy()]
    labelled = queries.labels >= 0
    return LinearProbe(
        accuracy(predictions[labelled], queries.labels[labelled]), penalty, predictions
    )


def fit(
    features: Tensor,
    targets: Tensor,
    *,
    classes: int,
    l2: float,
    start: Tensor | None = None,
    tolerance: float = 1e-4,
) -> Tensor:
    """Minimise the mean cross entropy plus l2 / 2 times the squared weights; biases are free.

    Args:
        features: (N, D) floating point.
        targets: (N,) int64 in [0, classes).
        classes: number of classes, C.
        l2: > 0.
        start: (D + 1, C) to start from; zeros if not given.
        tolerance: norm of the slope at which to stop, in coordinates of curvature about 1.

    Returns:
        (D + 1, C) weights, the biases in the last row.
    """
    rows = torch.arange(len(features), device=features.device)
    # Steps are taken in coordinates where the loss curves about alike in all directions: its second
    # derivative along a channel is near p (1 - p) variance + l2, at shares p = 1 / C.
    curvature = (1 - 1 / classes) / classes * features.square().mean(dim=0) + l2
    scale = torch.cat([curvature, features.new_ones(1)]).rsqrt().unsqueeze(1)  # (D + 1, 1)

    def loss(steps: Tensor) -> tuple[Tensor, Tensor]:
        weights = steps * scale
        shares = logits(weights, features).log_softmax(dim=1)  # (N, C)
        value = l2 / 2 * weights[:-1].square().sum() - shares[rows, targets].mean()
        error = shares.exp_()
        error[rows, targets] -= 1
        error /= len(features)
        slope = torch.cat([features.T @ error + l2 * weights[:-1], error.sum(dim=0, keepdim=True)])
        return value, slope * scale

    begin = features.new_zeros(len(scale), classes) if start is None else start / scale
    return minimise(loss, begin, tolerance=tolerance) * scale


def logits(weights: Tensor, features: Tensor) -> Tensor:
    """Return (N, C) scores of (N, D) features under (D + 1, C) weights."""
    return torch.addmm(weights[-1], features, weights[:-1])


def stratified_part(
    labels: npt.NDArray[np.int64], *, share: float, seed: int
) -> npt.NDArray[np.bool_]:
    """Draw a share of each class: (N,) true for the rows drawn.

    Of a class of n rows, share * n rounded are drawn, at least one and at most n - 1; of a class of
    one row, none.

    Args:
        labels: (N,) classes.
        share: in [0, 1].
        seed: of the draw.
    """
    generator = np.random.default_rng(seed)
    drawn = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        count = min(max(round(share * len(rows)), 1), len(rows) - 1)
        drawn[generator.permutation(rows)[:count]] = True
    return drawn


def _standardised(
    train: npt.NDArray[np.float32],
    queries: npt.NDArray[np.float32],
    *,
    device: torch.device | str,
) -> tuple[Tensor, Tensor]:
    """Return both with the training mean taken out, divided by the training deviation."""
    if not (np.isfinite(train).all() and np.isfinite(queries).all()):
        raise ValueError("features must be finite")
    mean = train.mean(axis=0, dtype=np.float64)
    deviation = train.std(axis=0, dtype=np.float64)
    constant = deviation <= 1e-6 * np.abs(mean)  # what float32 leaves of a constant is rounding
    scale = np.where(constant, 0.0, 1 / np.where(constant, 1.0, deviation))

    def standardise(vectors: npt.NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(((vectors - mean) * scale).astype(np.float32)).to(device)

    return standardise(train), standardise(queries)


def _turned(features: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
    """Return both in the principal axes of the first: the same problem, but well conditioned.

    Directions that no training row has get no weight, so they are left out where rows are few.
    """
    if len(features) < features.shape[1]:
        span = torch.linalg.qr(features.T)[0]  # (D, N)
        features, asked = features @ span, asked @ span
    products = features.double().T @ features.double()  # in float32 eigh gives up on some features
    axes = torch.linalg.eigh(products)[1].to(features.dtype)
    return features @ axes, asked @ axes


def _best_penalty(
    features: Tensor, targets: Tensor, penalties: list[float], *, held_out: float, seed: int
) -> tuple[float, Tensor | None]:
    """Return the penalty whose classifier does best on held-out rows, and that classifier.

    Penalties are descending.
    """
    drawn = stratified_part(targets.cpu().numpy(), share=held_out, seed=seed)
    if not drawn.any():  # one image a class: nothing to choose by
        return penalties[len(penalties) // 2], None
    out = torch.from_numpy(drawn).to(features.device)
    inside, outside = features[~out], features[out]
    classes = int(targets.max()) + 1
    best, best_right = 0, -1
    weights: Tensor | None = None
    near: Tensor | None = None
    for number, penalty in enumerate(penalties):
        weights = fit(
            inside, targets[~out], classes=classes, l2=penalty, start=weights, tolerance=ROUGHLY
        )
        right = int((logits(weights, outside).argmax(dim=1) == targets[out]).sum())
        if right > best_right:
            best, best_right, near = number, right, weights
        error = math.sqrt(best_right * (1 - best_right / len(outside)))  # its standard error
        if number - best >= PATIENCE or right < best_right - error:
            break  # weaker ones take the longest to fit, and fit noise
    return penalties[best], near
