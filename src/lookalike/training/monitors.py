"""Is it learning, or collapsing? Readings on a few fixed images, taken without moving any state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lookalike.embeddings import Embeddings
from lookalike.errors import TrainingError
from lookalike.evaluation.knn import leave_one_out_accuracy
from lookalike.evaluation.spectrum import effective_rank, spread
from lookalike.evaluation.uniformity import alignment, uniformity
from lookalike.methods.base import Method
from lookalike.pairwise.similarity import top_k
from lookalike.views.make import make_views, normalise
from lookalike.views.plans import Plan

COLLAPSED_SPREAD = 0.05
COLLAPSED_RANK = 2.0
"""Both must be undercut, twice in a row, before a run is called collapsed."""

BATCH = 256


class Monitors:
    """Readings of a method on fixed images and two fixed views of each.

    Of a plan with one view they are those of two epochs.

    Args:
        squares: (n, 3, size, size) uint8 images on the device.
        labels: (n,) int64, -1 where unknown.
        plan: the views that training sees.
        seed: of the two fixed views.
        mean: (3,) and
        std: (3,) of the pixels, as in training.
    """

    def __init__(
        self,
        squares: Tensor,
        labels: npt.NDArray[np.int64],
        plan: Plan,
        *,
        seed: int,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        count, _, size, _ = squares.shape
        self._labels = labels
        self._plain = normalise(squares, mean, std)
        draws = [
            make_views(
                plan,
                squares,
                torch.full((count, 2), size, dtype=torch.int64, device=squares.device),
                torch.arange(count, device=squares.device),
                size=size,
                seed=seed,
                epoch=epoch,
                mean=mean,
                std=std,
            )
            for epoch in range(1 if len(plan.views) > 1 else 2)
        ]
        self._views = tuple(view for draw in draws for view in draw)[:2]

    def read(self, method: Method, precision: torch.dtype) -> dict[str, float]:
        """Return the readings by name.

        - spread: standard deviation of the normalised embedding times sqrt(D), 1 healthy, 0
          collapsed (arXiv:2011.10566);
        - rankme: effective rank of the representation (arXiv:2210.02885);
        - alignment in [0, 4] and uniformity in [-8, 0] of the embedding (arXiv:2005.10242);
        - knn_top1: share of labelled images whose nearest neighbours vote for their label; or,
          without labels, view_retrieval_top1: share of views whose nearest is their partner.
        """
        was_training = method.training
        method.eval()
        try:
            with (
                torch.no_grad(),
                torch.autocast(
                    self._plain.device.type, precision, enabled=precision != torch.float32
                ),
            ):
                representation = _in_parts(method.backbone, self._plain)
                first, second = (_in_parts(method.embed, view) for view in self._views)
        finally:
            method.train(was_training)
        readings = {
            "spread": spread(first),
            "rankme": effective_rank(representation),
            "alignment": alignment(first, second),
            "uniformity": uniformity(first),
        }
        known = self._labels >= 0
        if known.sum() > 1 and len(set(self._labels[known].tolist())) > 1:
            vectors = representation.cpu().numpy()
            images = Embeddings(vectors, tuple(map(str, range(len(vectors)))), self._labels)
            readings["knn_top1"] = leave_one_out_accuracy(images, k=10)
        else:
            _, nearest = top_k(
                torch.nn.functional.normalize(first, dim=1),
                torch.nn.functional.normalize(second, dim=1),
                1,
            )
            partner = torch.arange(len(first), device=first.device)
            readings["view_retrieval_top1"] = float((nearest[:, 0] == partner).float().mean())
        return {name: round(float(value), 6) for name, value in readings.items()}


def _in_parts(encode: Any, images: Tensor) -> Tensor:
    """Return the (n, D) float32 outputs for (n, 3, S, S) images."""
    parts = torch.split(images, BATCH)
    last = torch.channels_last
    return torch.cat([encode(part.contiguous(memory_format=last)).float() for part in parts])


def refuse_collapse(readings: Sequence[Mapping[str, Any]]) -> None:
    """Raise TrainingError if the last two monitor rows both show a collapse."""
    rows = readings[-2:]
    low = [row["spread"] < COLLAPSED_SPREAD and row["rankme"] < COLLAPSED_RANK for row in rows]
    if len(low) == 2 and all(low):
        last = rows[-1]
        raise TrainingError(
            f"stopped at step {last['step']}: representations are collapsing (spread "
            f"{last['spread']:.3f} where 1 is healthy, effective rank {last['rankme']:.1f})\n"
            "  likely: every image gets the same vector, because nothing pushes images apart "
            "(no negatives, stop-gradient or predictor), or the learning rate is too high\n"
            "  fix: a smaller --optim.lr, or another --method; the last checkpoint is kept"
        )
