"""SimSiam. Chen & He 2020, arXiv:2011.10566, algorithm 1."""

from typing import Literal

from torch import Tensor, nn

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.losses.negative_cosine import negative_cosine_loss
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.heads import mlp
from lookalike.views.plans import SIMSIAM, SIMSIAM_SMALL


class SimSiam(Method):
    """Predict the other view's projection, taken as a constant; no negatives and no slow copy.

    Args:
        out_dim: width of a projection; none: 2048 as in the paper, or four times the
            representation's width where that is less.
        hidden_dim: width inside the predictor, a bottleneck; none: a quarter of `out_dim`, as in
            the paper.
        layers: of the projector (paper: 3; CIFAR-10: 2).
        predict: whether there is a predictor; without, everything collapses (table 2).
        stop_gradient: whether the target is a constant; otherwise everything collapses (figure 2).
        batch_norm: where the heads have it (table 3): none; hidden layers; those and the end of
            the projector, as in the paper; or all, the end of the predictor too.
    """

    views = SIMSIAM
    small_views = SIMSIAM_SMALL
    recipe = Recipe("sgd", lr=0.05, scaling="linear", weight_decay=1e-4)
    small_recipe = Recipe(
        "sgd", lr=0.015, scaling="square_root", weight_decay=5e-4, method_arguments={"layers": 2}
    )
    constant_rate = ("predictor",)

    def __init__(
        self,
        backbone: Backbone,
        *,
        out_dim: int | None = None,
        hidden_dim: int | None = None,
        layers: int = 3,
        predict: bool = True,
        stop_gradient: bool = True,
        batch_norm: Literal["none", "hidden", "projector", "all"] = "projector",
    ) -> None:
        super().__init__(backbone)
        _check.at_least(1, layers=layers)
        _check.one_of(("none", "hidden", "projector", "all"), batch_norm=batch_norm)
        out = out_dim or min(2048, 4 * backbone.dim)
        inside = batch_norm != "none"
        self.projector = mlp(
            backbone.dim,
            *[out] * layers,
            batch_norm=inside,
            final_batch_norm="plain" if batch_norm in {"projector", "all"} else "none",
        )
        self.predictor: nn.Module = nn.Identity()
        if predict:
            self.predictor = mlp(
                out,
                hidden_dim or max(out // 4, 1),
                out,
                batch_norm=inside,
                final_batch_norm="full" if batch_norm == "all" else "none",
            )
        self.stop_gradient = stop_gradient

    def forward(self, batch: Batch) -> Step:
        """Return the mean of both ways' negative cosines, in [-1, 1]."""
        z1, z2 = (self.embed(view) for view in batch.views)  # (B, out_dim)
        p1, p2 = self.predictor(z1), self.predictor(z2)
        return Step((self._distance(p1, z2) + self._distance(p2, z1)) / 2)

    def _distance(self, prediction: Tensor, target: Tensor) -> Tensor:
        return negative_cosine_loss(prediction, target.detach() if self.stop_gradient else target)

    def embed(self, images: Tensor) -> Tensor:
        """Return (B, out_dim) projections, not normalised."""
        projections: Tensor = self.projector(self.backbone(images))
        return projections
