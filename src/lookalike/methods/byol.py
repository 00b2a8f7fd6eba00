"""BYOL. Grill et al. 2020, arXiv:2006.07733, section 3.1, equations 1 and 2."""

from typing import Literal

import torch
from torch import Tensor, nn

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.losses.negative_cosine import negative_cosine_loss
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.ema import cosine_decay, ema_update, frozen_copy
from lookalike.nn.heads import mlp
from lookalike.views.plans import BYOL as BYOL_VIEWS
from lookalike.views.plans import SIMCLR_SMALL


class BYOL(Method):
    """Predict a slow copy's projection of the other view; no negatives.

    Args:
        hidden_dim: width inside projector and predictor; none: twice the representation's, as the
            paper's 4096 is for a ResNet-50.
        out_dim: width of a projection (paper: 256).
        decay: the slow copy's first decay, in [0, 1] (paper: 0.996 for 1000 epochs, 0.99 for 300,
            0.97 for 40).
        schedule: cosine takes the decay to 1 during training, as in the paper; constant leaves it.
            0 and constant is no slow copy at all; 1 and constant is one that never learns.
        predict: whether there is a predictor; without, everything collapses (the paper's table 5).
    """

    views = BYOL_VIEWS
    small_views = SIMCLR_SMALL
    recipe = Recipe("lars", lr=0.2, scaling="linear", weight_decay=1.5e-6, warmup_epochs=10)
    small_recipe = Recipe(
        "sgd",
        lr=0.03,
        scaling="square_root",
        weight_decay=5e-4,
        warmup_epochs=1,
        method_arguments={"decay": 0.99},
    )

    def __init__(
        self,
        backbone: Backbone,
        *,
        hidden_dim: int | None = None,
        out_dim: int = 256,
        decay: float = 0.996,
        schedule: Literal["cosine", "constant"] = "cosine",
        predict: bool = True,
    ) -> None:
        super().__init__(backbone)
        _check.fraction(decay=decay)
        _check.one_of(("cosine", "constant"), schedule=schedule)
        hidden = hidden_dim or 2 * backbone.dim
        self.projector = mlp(backbone.dim, hidden, out_dim, bias=False)
        self.predictor = mlp(out_dim, hidden, out_dim, bias=False) if predict else nn.Identity()
        self.target = frozen_copy(backbone, self.projector)
        self.decay = decay
        self.schedule = schedule

    def forward(self, batch: Batch) -> Step:
        """Return the distance of each view's prediction from the target of the other, both ways."""
        p1, p2 = (self.predictor(self.embed(view)) for view in batch.views)
        with torch.no_grad():
            t1, t2 = (self.target(view) for view in batch.views)  # (B, out_dim)
        cosines = negative_cosine_loss(p1, t2) + negative_cosine_loss(p2, t1)  # in [-2, 2]
        return Step(4 + 2 * cosines)  # eq. 2, both ways: in [0, 8]

    def after_step(self, step: Step, progress: float) -> None:
        """Move the slow copy towards backbone and projector, after the optimizer's step.

        Args:
            step: nothing of it is needed.
            progress: fraction of training done.
        """
        decay = cosine_decay(self.decay, progress) if self.schedule == "cosine" else self.decay
        ema_update(self.target, self.backbone, self.projector, decay=decay)

    def embed(self, images: Tensor) -> Tensor:
        """Return (B, out_dim) projections, not normalised."""
        projections: Tensor = self.projector(self.backbone(images))
        return projections
