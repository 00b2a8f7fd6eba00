"""MoCo v3. Chen, Xie & He 2021, arXiv:2104.02057, algorithm 1."""

import torch
from torch import Tensor

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.losses.info_nce import info_nce_loss
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.ema import cosine_decay, ema_update, frozen_copy
from lookalike.nn.gather import gather
from lookalike.nn.heads import mlp
from lookalike.views.plans import MOCO_SMALL, MOCO_V3


class MoCoV3(Method):
    """Predict a slow copy's projection of the other view, and tell it from those of other images.

    Args:
        hidden_dim: width inside projector and predictor; none: twice the representation's, as the
            paper's 4096 is for a ResNet-50.
        out_dim: width of the space that the loss sees (paper: 256).
        layers: of the projector (paper: 2 for ResNets, 3 for transformers).
        predictor_batch_norm: whether the predictor ends in batch normalisation (paper: for
            transformers).
        decay: the slow copy's first decay, in [0, 1); a cosine takes it to 1 (paper: 0.99).
        temperature: > 0 (paper: 1 for ResNets, 0.2 for transformers).
        freeze_patches: leave a transformer's patch projection as it was drawn, which keeps its
            training stable (section 4.2); other networks have none.

    Deviations: a transformer's positions are learned, where the paper's are fixed.
    """

    views = MOCO_V3
    small_views = MOCO_SMALL
    recipe = Recipe("lars", lr=0.6, scaling="linear", weight_decay=1e-6, warmup_epochs=10)
    small_recipe = Recipe(
        "sgd",
        lr=0.03,
        scaling="square_root",
        weight_decay=5e-4,
        warmup_epochs=1,
        method_arguments={"temperature": 0.2},
    )

    def __init__(
        self,
        backbone: Backbone,
        *,
        hidden_dim: int | None = None,
        out_dim: int = 256,
        layers: int = 2,
        predictor_batch_norm: bool = False,
        decay: float = 0.99,
        temperature: float = 1.0,
        freeze_patches: bool = True,
    ) -> None:
        super().__init__(backbone)
        _check.positive(temperature=temperature)
        _check.fraction(decay=decay)
        _check.at_least(1, layers=layers)
        hidden = hidden_dim or 2 * backbone.dim
        widths = [backbone.dim, *[hidden] * (layers - 1), out_dim]
        self.projector = mlp(*widths, final_batch_norm="plain")
        self.predictor = mlp(
            out_dim,
            hidden,
            out_dim,
            final_batch_norm="plain" if predictor_batch_norm else "none",
            bias=False,
        )
        for name, part in backbone.named_modules():
            if freeze_patches and name.rpartition(".")[2] == "patch_embed":
                part.requires_grad_(False)
        self.target = frozen_copy(backbone, self.projector)
        self.decay = decay
        self.temperature = temperature

    def forward(self, batch: Batch) -> Step:
        """Return both ways' InfoNCE among the keys of all processes, times 2 T."""
        q1, q2 = (gather(self.predictor(self.embed(view))) for view in batch.views)
        with torch.no_grad():
            k1, k2 = (gather(self.target(view)) for view in batch.views)  # (B of all, out_dim)
        loss = self._contrast(q1, k2) + self._contrast(q2, k1)
        return Step(loss)

    def _contrast(self, query: Tensor, key: Tensor) -> Tensor:
        """Return 2 T InfoNCE: the factor keeps the gradient's length the same at all T."""
        return 2 * self.temperature * info_nce_loss(query, key, temperature=self.temperature)

    def after_step(self, step: Step, progress: float) -> None:
        """Move the slow copy towards backbone and projector.

        Args:
            step: nothing of it is needed.
            progress: fraction of training done; the decay rises with it.
        """
        decay = cosine_decay(self.decay, progress)
        ema_update(self.target, self.backbone, self.projector, decay=decay)

    def embed(self, images: Tensor) -> Tensor:
        """Return (B, out_dim) projections, not normalised."""
        projections: Tensor = self.projector(self.backbone(images))
        return projections
