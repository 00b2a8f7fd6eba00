"""SimCLR. Chen et al. 2020, arXiv:2002.05709, algorithm 1 and equation 1."""

from typing import Literal

import torch
from torch import Tensor, nn

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.losses.margin import margin_loss
from lookalike.losses.nt_logistic import nt_logistic_loss
from lookalike.losses.nt_xent import nt_xent_loss
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.gather import gather
from lookalike.nn.heads import mlp
from lookalike.views.plans import SIMCLR, SIMCLR_SMALL


class SimCLR(Method):
    """Two views of one image attract; every other image in the batch repels.

    Args:
        hidden_dim: width inside the projector; none: the representation's width, as in the paper.
        out_dim: width of the space that the loss sees (paper: 128).
        layers: layers of the projector, >= 0: 0 is none, 1 a linear one (paper: 2; its second
            version: 3).
        temperature: > 0; lower weighs the nearest negatives more (paper: 0.1; CIFAR-10: 0.5).
        objective: what compares the projections; the last two are the paper's rivals of table 4.
        normalise: whether projections go to the unit sphere first (paper: yes; table 5 says why).
        margin: of the margin objective, in units of cosine.
    """

    views = SIMCLR
    small_views = SIMCLR_SMALL
    recipe = Recipe("lars", lr=0.3, scaling="linear", warmup_epochs=10, weight_decay=1e-6)
    small_recipe = Recipe(
        "sgd",
        lr=0.03,
        scaling="square_root",
        weight_decay=5e-4,
        warmup_epochs=1,
        method_arguments={"temperature": 0.5},
    )

    def __init__(
        self,
        backbone: Backbone,
        *,
        hidden_dim: int | None = None,
        out_dim: int = 128,
        layers: int = 2,
        temperature: float = 0.1,
        objective: Literal["nt_xent", "nt_logistic", "margin"] = "nt_xent",
        normalise: bool = True,
        margin: float = 0.4,
    ) -> None:
        super().__init__(backbone)
        _check.positive(temperature=temperature)
        _check.at_least(0, layers=layers)
        widths = [hidden_dim or backbone.dim] * (layers - 1) + [out_dim] * (layers > 0)
        self.projector = (
            mlp(backbone.dim, *widths, final_batch_norm="scale") if layers else nn.Identity()
        )
        self.temperature = temperature
        self.objective = objective
        self.normalise = normalise
        self.margin = margin

    def project(self, views: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return one (B, out_dim) projection a view; all views share one batch normalisation."""
        return self.embed(torch.cat(views)).chunk(len(views))

    def compare(self, projections: tuple[Tensor, ...], batch: Batch) -> Step:
        """Return the loss of the projections of this and every other process."""
        z1, z2 = (gather(z) for z in projections)  # (B of all processes, out_dim)
        match self.objective:
            case "nt_xent":
                loss = nt_xent_loss(z1, z2, temperature=self.temperature, normalise=self.normalise)
            case "nt_logistic":
                loss = nt_logistic_loss(z1, z2, temperature=self.temperature)
            case "margin":
                loss = margin_loss(z1, z2, margin=self.margin)
        return Step(loss)

    def forward(self, batch: Batch) -> Step:
        """Return NT-Xent over both views of the batch."""
        return self.compare(self.project(batch.views), batch)

    def embed(self, images: Tensor) -> Tensor:
        """Return (B, out_dim) projections, not normalised."""
        projections: Tensor = self.projector(self.backbone(images))
        return projections
