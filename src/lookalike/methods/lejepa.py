"""LeJEPA. Balestriero and LeCun 2025, arXiv:2511.08544, section 5."""

import math

import torch
from torch import Tensor

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.losses.sigreg import sigreg_loss
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.gather import gather
from lookalike.nn.heads import mlp
from lookalike.pairwise.similarity import unit_rows
from lookalike.randomness import uniforms
from lookalike.views.plans import SIMCLR, SIMCLR_SMALL


class LeJEPA(Method):
    """Views close to their mean, and each view's embeddings spread like a standard normal.

    No slow copy, no stop-gradient, nothing to be told apart: that the embeddings are normal along
    random lines, which are new in every step, keeps them from collapsing.

    Args:
        hidden_dim: width inside the projector, of three layers.
        out_dim: width of a projection.
        directions: random lines in each step (paper: 1024).
        regularity: lambda, weight of being normal, in [0, 1]; the rest is that of the views
            (paper: 0.05).

    Deviations: of a step's views the largest ones are the global ones, which the mean is taken of.
    """

    views = SIMCLR
    small_views = SIMCLR_SMALL
    recipe = Recipe("adamw", lr=5e-4, scaling="none", weight_decay=5e-4, warmup_epochs=10)
    small_recipe = Recipe("adamw", lr=1e-3, scaling="none", weight_decay=5e-4, warmup_epochs=1)
    steps: Tensor

    def __init__(
        self,
        backbone: Backbone,
        *,
        hidden_dim: int = 2048,
        out_dim: int = 128,
        directions: int = 1024,
        regularity: float = 0.05,
    ) -> None:
        super().__init__(backbone)
        _check.at_least(1, directions=directions)
        _check.fraction(regularity=regularity)
        self.projector = mlp(backbone.dim, hidden_dim, hidden_dim, out_dim)
        self.directions = directions
        self.out_dim = out_dim
        self.regularity = regularity
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, batch: Batch) -> Step:
        """Return the weighted sum of both terms; the log `sigreg` is about 1 where all is well."""
        z = torch.stack([gather(self.embed(view)) for view in batch.views])  # (V, B of all, D)
        largest = max(view.shape[-1] for view in batch.views)
        whole = [number for number, view in enumerate(batch.views) if view.shape[-1] == largest]
        z = z.to(torch.promote_types(z.dtype, torch.float32))
        apart = (z - z[whole].mean(0)).square().mean()
        lines = self._lines()
        irregular = torch.stack([sigreg_loss(each, lines) for each in z]).mean()
        loss = (1 - self.regularity) * apart + self.regularity * irregular
        return Step(loss, {"apart": apart.detach(), "sigreg": irregular.detach()})

    def _lines(self) -> Tensor:
        """Return this step's directions, (directions, out_dim), the same on every process."""
        rows = torch.arange(self.directions, device=self.steps.device)
        draws = uniforms(
            2 * self.out_dim, seed=0, epoch=0, index=rows, stream=self.steps.expand(len(rows))
        )
        radius, angle = draws.chunk(2, dim=1)
        normals = (-2 * (1 - radius).log()).sqrt() * (2 * math.pi * angle).cos()  # Box and Muller
        return unit_rows(normals)

    def after_step(self, step: Step, progress: float) -> None:
        """Count the step, so that the next one looks along other lines.

        Args:
            step: nothing of it is needed.
            progress: fraction of training done.
        """
        self.steps.add_(1)

    def embed(self, images: Tensor) -> Tensor:
        """Return (B, out_dim) projections, not normalised."""
        projections: Tensor = self.projector(self.backbone(images))
        return projections
