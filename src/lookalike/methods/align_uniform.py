"""Alignment and uniformity. Wang & Isola 2020, arXiv:2005.10242, section 4.1."""

import torch
from torch import Tensor, nn

from lookalike.backbones.base import Backbone
from lookalike.losses.alignment import alignment_loss
from lookalike.losses.uniformity import uniformity_loss
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.gather import gather
from lookalike.views.plans import MOCO_SMALL, MOCO_V2


class AlignUniform(Method):
    """Partners close together, all images evenly over the sphere: what contrast does, in two terms.

    Args:
        out_dim: width of the space that the loss sees (paper: 128).
        power: of the distance between partners, > 0 (paper: 2).
        t: sharpness of the potential between images, > 0 (paper: 2).
        weight: of uniformity beside alignment, >= 0 (paper: 1 for STL-10).
    """

    views = MOCO_V2
    small_views = MOCO_SMALL
    recipe = Recipe("sgd", lr=0.12, scaling="linear", weight_decay=1e-4)
    small_recipe = Recipe("sgd", lr=0.12, scaling="linear", weight_decay=1e-4)

    def __init__(
        self,
        backbone: Backbone,
        *,
        out_dim: int = 128,
        power: float = 2.0,
        t: float = 2.0,
        weight: float = 1.0,
    ) -> None:
        super().__init__(backbone)
        self.projector = nn.Linear(backbone.dim, out_dim)
        self.power = power
        self.t = t
        self.weight = weight

    def project(self, views: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return one (B, out_dim) projection a view; both views share one batch normalisation."""
        return self.embed(torch.cat(views)).chunk(len(views))

    def compare(self, projections: tuple[Tensor, ...], batch: Batch) -> Step:
        """Return alignment plus the weighted mean of both views' uniformity."""
        z1, z2 = (gather(z) for z in projections)  # (B of all processes, out_dim)
        alignment = alignment_loss(z1, z2, power=self.power)
        uniformity = (uniformity_loss(z1, t=self.t) + uniformity_loss(z2, t=self.t)) / 2
        logs = {"alignment": alignment.detach(), "uniformity": uniformity.detach()}
        return Step(alignment + self.weight * uniformity, logs)

    def forward(self, batch: Batch) -> Step:
        """Return the loss of both views of the batch."""
        return self.compare(self.project(batch.views), batch)

    def embed(self, images: Tensor) -> Tensor:
        """Return (B, out_dim) projections, not normalised."""
        projections: Tensor = self.projector(self.backbone(images))
        return projections
