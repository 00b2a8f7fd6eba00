"""Invariant and spreading instance feature. Ye et al. 2019, arXiv:1904.03436, equations 3 to 6."""

import torch
from torch import Tensor, nn

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.losses.spreading import spreading_loss
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.gather import gather
from lookalike.views.plans import ISIF as ISIF_VIEWS


class ISIF(Method):
    """A view is recognised as its own image, and no other image of the batch as it.

    Args:
        out_dim: width of the space that the loss sees (paper: 128).
        temperature: > 0; lower weighs the nearest images more (paper: 0.1).
        spread: >= 0, weight of the term that pushes images apart (paper: 1).
        stop_gradient: as the authors' code and not the paper's equations have it.

    Deviations: the learning rate falls by a cosine, not in steps.
    """

    views = ISIF_VIEWS
    small_views = ISIF_VIEWS
    recipe = Recipe("sgd", lr=0.06, scaling="linear", weight_decay=5e-4)
    small_recipe = Recipe("sgd", lr=0.015, scaling="square_root", weight_decay=5e-4)

    def __init__(
        self,
        backbone: Backbone,
        *,
        out_dim: int = 128,
        temperature: float = 0.1,
        spread: float = 1.0,
        stop_gradient: bool = True,
    ) -> None:
        super().__init__(backbone)
        _check.positive(temperature=temperature)
        _check.at_least(0, spread=spread)
        self.projector = nn.Linear(backbone.dim, out_dim)
        self.temperature = temperature
        self.spread = spread
        self.stop_gradient = stop_gradient

    def project(self, views: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return one (B, out_dim) projection a view; both views share one batch normalisation."""
        return self.embed(torch.cat(views)).chunk(len(views))

    def compare(self, projections: tuple[Tensor, ...], batch: Batch) -> Step:
        """Return the loss of the projections of this and every other process."""
        z1, z2 = (gather(z) for z in projections)
        loss = spreading_loss(
            z1,
            z2,
            temperature=self.temperature,
            spread=self.spread,
            stop_gradient=self.stop_gradient,
        )
        return Step(loss)

    def forward(self, batch: Batch) -> Step:
        """Return the loss of both views of the batch."""
        return self.compare(self.project(batch.views), batch)

    def embed(self, images: Tensor) -> Tensor:
        """Return (B, out_dim) projections, not normalised."""
        projections: Tensor = self.projector(self.backbone(images))
        return projections
