"""Mean shift (MSF). Koohpayegani, Tejankar and Pirsiavash 2021, arXiv:2105.07269, section 3."""

from collections.abc import Mapping

import torch
from torch import Tensor

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.losses.negative_cosine import negative_cosine_loss
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.ema import ema_update, frozen_copy
from lookalike.nn.gather import gather
from lookalike.nn.heads import mlp
from lookalike.nn.queue import Queue
from lookalike.pairwise.similarity import top_k, unit_rows
from lookalike.views.plans import BYOL, SIMCLR_SMALL


class MeanShift(Method):
    """Predict where a slow copy puts the other view, and the earlier images nearest to it.

    With one neighbour, which is the other view itself, it is BYOL with a constant decay.

    Args:
        hidden_dim: width inside projector and predictor; none: twice the representation's, as the
            paper's 4096 is for a ResNet-50.
        out_dim: width of a projection (paper: 512).
        neighbours: k, the slow copy's view included, in [1, 1 + queue_size] (paper: 5).
        queue_size: the slow copy's views of earlier images among which the nearest are looked for
            (the authors' code: 128,000); training fills it in.
        decay: the slow copy's, in [0, 1] (paper: 0.99).

    Deviations: both views are predicted, each from the other, where the paper predicts one. Batches
    before this one alone are neighbours.
    """

    views = BYOL
    small_views = SIMCLR_SMALL
    recipe = Recipe("sgd", lr=0.05, scaling="linear", weight_decay=1e-4)
    small_recipe = Recipe("sgd", lr=0.03, scaling="square_root", weight_decay=5e-4, warmup_epochs=1)

    def __init__(
        self,
        backbone: Backbone,
        *,
        hidden_dim: int | None = None,
        out_dim: int = 512,
        neighbours: int = 5,
        queue_size: int = 128000,
        decay: float = 0.99,
    ) -> None:
        super().__init__(backbone)
        _check.fraction(decay=decay)
        if not 1 <= neighbours <= 1 + queue_size:
            raise ValueError(f"neighbours must be in [1, {1 + queue_size}], got {neighbours}")
        hidden = hidden_dim or 2 * backbone.dim
        self.projector = mlp(backbone.dim, hidden, out_dim, bias=False)
        self.predictor = mlp(out_dim, hidden, out_dim, bias=False)
        self.target = frozen_copy(backbone, self.projector)
        self.queue = Queue(queue_size, out_dim)
        self.neighbours = neighbours
        self.decay = decay

    @classmethod
    def fit(cls, images: int, classes: int) -> Mapping[str, tuple[object, str]]:
        """Return a queue that is short beside the data, so that it holds no image twice."""
        size = max(64, min(65536, 1 << max(images // 4, 1).bit_length() - 1))
        return {"queue_size": (size, f"{images:,} images: both views of at most a quarter")}

    def forward(self, batch: Batch) -> Step:
        """Return the squared distance of predictions and neighbours, both ways: in [0, 8]."""
        p1, p2 = (self.predictor(self.embed(view)) for view in batch.views)
        with torch.no_grad():
            t1, t2 = (self.target(view) for view in batch.views)  # (B, out_dim)
        cosines = self._distance(p1, t2) + self._distance(p2, t1)  # in [-2, 2]
        return Step(4 + 2 * cosines, carry=(unit_rows(gather(t1)), unit_rows(gather(t2))))

    def _distance(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the mean over the neighbours of minus the cosine with the prediction."""
        own = negative_cosine_loss(prediction, target)
        if self.neighbours == 1:
            return own
        others = self.neighbours - 1
        _, places = top_k(unit_rows(target), self.queue.rows, others)  # (B, k - 1)
        # Cosines with unit vectors add up to a product with their sum.
        total = self.queue.rows[places].sum(1)  # (B, out_dim)
        rest = -(unit_rows(prediction) * total).sum(1).mean()
        return (own + rest) / self.neighbours

    def after_step(self, step: Step, progress: float) -> None:
        """Move the slow copy, then let this step's views into the queue.

        Args:
            step: its carry is the slow copy's views, of all processes.
            progress: fraction of training done.
        """
        ema_update(self.target, self.backbone, self.projector, decay=self.decay)
        for views in step.carry:
            self.queue.enqueue(views)

    def embed(self, images: Tensor) -> Tensor:
        """Return (B, out_dim) projections, not normalised."""
        projections: Tensor = self.projector(self.backbone(images))
        return projections
