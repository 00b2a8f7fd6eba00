"""Proxy-NCA. Movshovitz-Attias et al. 2017, arXiv:1703.07464, section 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.backbones.embedding import Embedding
from lookalike.losses.proxy_nca import proxy_nca_loss
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.gather import gather
from lookalike.nn.heads import mlp
from lookalike.views.plans import METRIC


class ProxyNCA(Method):
    """Every class has a point that is learned, and images go to that of their class.

    No pairs are compared, so batches need not hold several images of a class. The encoder that a
    run keeps ends with the projector, for its embeddings are what the loss compares.

    Args:
        class_count: classes, each with a proxy, >= 2; training fills it in.
        out_dim: width of an embedding (paper: 64).
        scale: > 0, of the squared distances on the unit sphere.
        exclude_own: leave the proxy of an image's own class out of the denominator (paper: yes).

    Deviations: the paper's equation has no scale, which leaves the softmax almost flat. AdamW takes
    the place of RMSprop. Proxies need a higher learning rate than the network: theirs is the same,
    but they begin with norms of about 0.1, so that a step turns them ten times as far as it would
    turn rows of norm 1. Images without a label are left out.
    """

    views = METRIC
    small_views = METRIC
    recipe = Recipe("adamw", lr=3e-4, scaling="none", weight_decay=1e-4, warmup_epochs=1)
    small_recipe = Recipe("adamw", lr=1e-3, scaling="none", weight_decay=1e-4, warmup_epochs=1)
    needs_labels = True

    def __init__(
        self,
        backbone: Backbone,
        *,
        class_count: int,
        out_dim: int = 64,
        scale: float = 9.0,
        exclude_own: bool = True,
    ) -> None:
        super().__init__(backbone)
        _check.at_least(2, class_count=class_count)
        _check.at_least(1, out_dim=out_dim)
        _check.positive(scale=scale)
        self.out_dim = out_dim
        self.projector = mlp(backbone.dim, out_dim)
        self.proxies = nn.Parameter(0.1 * torch.randn(class_count, out_dim) / out_dim**0.5)
        self.scale = scale
        self.exclude_own = exclude_own

    @classmethod
    def fit(cls, images: int, classes: int) -> Mapping[str, tuple[object, str]]:
        """Return one proxy a class."""
        return {"class_count": (classes, "one proxy for each class")}

    def forward(self, batch: Batch) -> Step:
        """Return how far the images of all processes are from their classes' proxies."""
        embeddings = torch.cat([gather(self.embed(view)) for view in batch.views])
        loss = proxy_nca_loss(
            embeddings,
            gather(batch.labels).repeat(len(batch.views)),
            self.proxies,
            scale=self.scale,
            exclude_own=self.exclude_own,
        )
        return Step(loss)

    def embed(self, images: Tensor) -> Tensor:
        """Return (B, out_dim) embeddings, not normalised."""
        embeddings: Tensor = self.projector(self.backbone(images))
        return embeddings

    def encoder(
        self, name: str, arguments: Mapping[str, Any]
    ) -> tuple[Backbone, str, dict[str, Any]]:
        """Return the backbone with its projector, and how to build both again."""
        network = Embedding(self.backbone, self.projector, dim=self.out_dim)
        return network, "embedding", {"backbone": name, "widths": (self.out_dim,), **arguments}
