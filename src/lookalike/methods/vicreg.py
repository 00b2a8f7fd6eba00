"""VICReg. Bardes, Ponce and LeCun 2021, arXiv:2105.04906, section 4."""

import torch
from torch import Tensor

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.losses.vicreg import vicreg_loss
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.gather import gather
from lookalike.nn.heads import mlp
from lookalike.views.plans import BYOL, SIMCLR_SMALL


class VICReg(Method):
    """Views alike, dimensions that vary, and no two that vary together; nothing is told apart.

    Args:
        out_dim: width of the projector's three layers; none: 8192, as in the paper, or four times
            the representation's width where that is less.
        invariance: weight of the distance of the views, >= 0.
        variance: weight of what each dimension's deviation lacks to 1, >= 0; at 0 it collapses.
        covariance: weight of the squared covariances of two dimensions, >= 0.

    Deviations: the variance term is the mean over the views, as in the authors' code. For small
    images AdamW takes the place of LARS.
    """

    views = BYOL
    small_views = SIMCLR_SMALL
    recipe = Recipe("lars", lr=0.2, scaling="linear", weight_decay=1e-6, warmup_epochs=10)
    small_recipe = Recipe("adamw", lr=1e-3, scaling="none", weight_decay=1e-4, warmup_epochs=1)

    def __init__(
        self,
        backbone: Backbone,
        *,
        out_dim: int | None = None,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
    ) -> None:
        super().__init__(backbone)
        _check.at_least(0, invariance=invariance, variance=variance, covariance=covariance)
        out = out_dim or min(8192, 4 * backbone.dim)
        self.projector = mlp(backbone.dim, out, out, out, bias=False)
        self.weights = {
            "invariance": invariance,
            "variance": variance,
            "covariance": covariance,
        }

    def project(self, views: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return one (B, out_dim) projection a view; each has batch statistics of its own."""
        return tuple(self.embed(view) for view in views)

    def compare(self, projections: tuple[Tensor, ...], batch: Batch) -> Step:
        """Return the loss of the projections of this and every other process."""
        z1, z2 = (gather(z) for z in projections)  # (B of all processes, out_dim)
        with torch.no_grad():
            deviation = (z1.float().var(0) + 1e-4).sqrt().mean()
        return Step(vicreg_loss(z1, z2, **self.weights), {"deviation": deviation})

    def forward(self, batch: Batch) -> Step:
        """Return the three terms, weighted; the log `deviation` goes to 1, and to 0 in collapse."""
        return self.compare(self.project(batch.views), batch)

    def embed(self, images: Tensor) -> Tensor:
        """Return (B, out_dim) projections, not normalised."""
        projections: Tensor = self.projector(self.backbone(images))
        return projections
