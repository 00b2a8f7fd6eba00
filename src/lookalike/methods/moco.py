"""MoCo. He et al. 2019, arXiv:1911.05722, algorithm 1; version 2: Chen et al. 2020, 2003.04297."""

from collections.abc import Mapping

import torch
from torch import Tensor

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.losses.info_nce import info_nce_loss
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.ema import ema_update, frozen_copy
from lookalike.nn.gather import gather
from lookalike.nn.heads import mlp
from lookalike.nn.queue import Queue
from lookalike.nn.split_batch_norm import shuffle, split_batch_norm, unshuffle
from lookalike.pairwise.similarity import unit_rows
from lookalike.views.plans import MOCO_SMALL, MOCO_V2


class MoCo(Method):
    """Find the key of the same image among keys that a slow copy made of earlier images.

    Version 1 is `layers=1, temperature=0.07` with `--views moco_v1`.

    Args:
        out_dim: width of a key (paper: 128).
        layers: of the projector, without batch normalisation: 1 (version 1) or 2 (version 2).
        queue_size: keys to tell an image's own key from (paper: 65,536).
        momentum: share of the key encoder that stays in each step, in [0, 1] (paper: 0.999).
        temperature: > 0; lower weighs the nearest keys more (version 1: 0.07; version 2: 0.2).
        splits: groups of a batch, over all processes, that batch normalisation is taken over, as
            if each were on a GPU of its own (paper: 8 GPUs); 1 leaves it whole.
        symmetric: let each view be the query once, and add both losses: twice the work.

    Deviations: keys are shuffled by a fixed transposition of the batch, which is in random order
    already, not by a random permutation.
    """

    views = MOCO_V2
    small_views = MOCO_SMALL
    recipe = Recipe("sgd", lr=0.03, scaling="linear", weight_decay=1e-4)
    small_recipe = Recipe(
        "sgd",
        lr=0.12,
        scaling="linear",
        weight_decay=5e-4,
        method_arguments={"momentum": 0.99, "temperature": 0.1, "layers": 1},
    )

    def __init__(
        self,
        backbone: Backbone,
        *,
        out_dim: int = 128,
        layers: int = 2,
        queue_size: int = 65536,
        momentum: float = 0.999,
        temperature: float = 0.2,
        splits: int = 8,
        symmetric: bool = False,
    ) -> None:
        super().__init__(backbone)
        _check.positive(temperature=temperature)
        _check.fraction(momentum=momentum)
        _check.at_least(1, layers=layers, splits=splits)
        widths = [backbone.dim] * layers + [out_dim]
        self.projector = mlp(*widths, batch_norm=False)
        split_batch_norm(self, splits)
        self.key_encoder = frozen_copy(backbone, self.projector)
        self.queue = Queue(queue_size, out_dim)
        self.momentum = momentum
        self.temperature = temperature
        self.splits = splits
        self.symmetric = symmetric

    @classmethod
    def fit(cls, images: int, classes: int) -> Mapping[str, tuple[object, str]]:
        """Return a queue that is short beside the data: a longer one holds an image's old keys."""
        size = max(64, min(65536, 1 << max(images // 8, 1).bit_length() - 1))
        return {"queue_size": (size, f"{images:,} images: at most an eighth of them")}

    def forward(self, batch: Batch) -> Step:
        """Return InfoNCE of the first view's queries against the second's keys and the queue."""
        first, second = batch.views
        key = self._key(second)
        loss = self._contrast(self.embed(first), key)
        if not self.symmetric:
            return Step(loss, carry=(gather(key),))
        other = self._key(first)
        loss = loss + self._contrast(self.embed(second), other)
        return Step(loss, carry=(gather(key), gather(other)))

    def _contrast(self, query: Tensor, key: Tensor) -> Tensor:
        return info_nce_loss(query, key, self.queue.rows, temperature=self.temperature)

    @torch.no_grad()
    def _key(self, images: Tensor) -> Tensor:
        """Return (B, out_dim) keys, from batches that are grouped otherwise than the queries'."""
        shuffled = self.key_encoder(shuffle(images, self.splits))
        return unit_rows(unshuffle(shuffled, self.splits))

    def after_step(self, step: Step, progress: float) -> None:
        """Move the key encoder, then let this step's keys into the queue: never before their use.

        Args:
            step: its carry is the keys of all processes.
            progress: fraction of training done.
        """
        ema_update(self.key_encoder, self.backbone, self.projector, decay=self.momentum)
        for keys in step.carry:
            self.queue.enqueue(keys)

    def embed(self, images: Tensor) -> Tensor:
        """Return (B, out_dim) projections, not normalised."""
        projections: Tensor = self.projector(self.backbone(images))
        return projections
