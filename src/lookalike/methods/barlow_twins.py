"""Barlow Twins. Zbontar, Jing, Misra, LeCun and Deny 2021, arXiv:2103.03230, section 2."""

from torch import Tensor

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.losses.barlow_twins import barlow_twins_loss
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.gather import gather
from lookalike.nn.heads import mlp
from lookalike.views.plans import BYOL, SIMCLR_SMALL


class BarlowTwins(Method):
    """Each dimension says the same of both views, and no two dimensions say the same.

    Args:
        out_dim: width of the projector's three layers; none: 8192, as in the paper, or four times
            the representation's width where that is less.
        redundancy: weight of two dimensions' squared correlation, >= 0 (paper: 0.005; its code, as
            here: 0.0051).
        weight: > 0, of the whole loss, which grows with out_dim (the paper's code: 0.024).

    Deviations: biases learn as fast as weights, where the paper has a lower rate for them. For
    small images AdamW takes the place of LARS.
    """

    views = BYOL
    small_views = SIMCLR_SMALL
    recipe = Recipe("lars", lr=0.2, scaling="linear", weight_decay=1.5e-6, warmup_epochs=10)
    small_recipe = Recipe("adamw", lr=1e-3, scaling="none", weight_decay=1e-4, warmup_epochs=1)

    def __init__(
        self,
        backbone: Backbone,
        *,
        out_dim: int | None = None,
        redundancy: float = 0.0051,
        weight: float = 0.024,
    ) -> None:
        super().__init__(backbone)
        _check.at_least(0, redundancy=redundancy)
        _check.positive(weight=weight)
        out = out_dim or min(8192, 4 * backbone.dim)
        self.projector = mlp(backbone.dim, out, out, out, bias=False)
        self.redundancy = redundancy
        self.weight = weight

    def project(self, views: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return one (B, out_dim) projection a view; each has batch statistics of its own."""
        return tuple(self.embed(view) for view in views)

    def compare(self, projections: tuple[Tensor, ...], batch: Batch) -> Step:
        """Return the loss of the projections of this and every other process."""
        z1, z2 = (gather(z) for z in projections)  # (B of all processes, out_dim)
        return Step(self.weight * barlow_twins_loss(z1, z2, redundancy=self.redundancy))

    def forward(self, batch: Batch) -> Step:
        """Return how far the correlations of the views' dimensions are from the identity."""
        return self.compare(self.project(batch.views), batch)

    def embed(self, images: Tensor) -> Tensor:
        """Return (B, out_dim) projections, not normalised."""
        projections: Tensor = self.projector(self.backbone(images))
        return projections
