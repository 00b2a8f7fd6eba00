"""NNCLR. Dwibedi et al. 2021, arXiv:2104.14548, section 3.2, equations 2 and 3."""

from collections.abc import Mapping

from torch import Tensor

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.losses.info_nce import info_nce_loss
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.gather import gather
from lookalike.nn.heads import mlp
from lookalike.nn.queue import Queue
from lookalike.pairwise.similarity import top_k, unit_rows
from lookalike.views.plans import BYOL, SIMCLR_SMALL


class NNCLR(Method):
    """Find the other view of an image from the earlier image that is nearest to the first view.

    Args:
        hidden_dim: width inside projector and predictor; none: the representation's width (paper:
            2048 in the projector, 4096 in the predictor).
        out_dim: width of a projection (paper: 256).
        queue_size: projections of earlier images among which the nearest is looked for (paper:
            98,304); training fills it in.
        temperature: > 0 (paper: 0.1).
    """

    views = BYOL
    small_views = SIMCLR_SMALL
    recipe = Recipe("lars", lr=0.3, scaling="linear", weight_decay=1e-6, warmup_epochs=10)
    small_recipe = Recipe("sgd", lr=0.03, scaling="square_root", weight_decay=5e-4, warmup_epochs=1)

    def __init__(
        self,
        backbone: Backbone,
        *,
        hidden_dim: int | None = None,
        out_dim: int = 256,
        queue_size: int = 98304,
        temperature: float = 0.1,
    ) -> None:
        super().__init__(backbone)
        _check.positive(temperature=temperature)
        hidden = hidden_dim or backbone.dim
        self.projector = mlp(backbone.dim, hidden, hidden, out_dim, final_batch_norm="full")
        self.predictor = mlp(out_dim, hidden, out_dim)
        self.queue = Queue(queue_size, out_dim)
        self.temperature = temperature

    @classmethod
    def fit(cls, images: int, classes: int) -> Mapping[str, tuple[object, str]]:
        """Return a queue that is short beside the data, so that it holds no image twice."""
        size = max(64, min(65536, 1 << max(images // 2, 1).bit_length() - 1))
        return {"queue_size": (size, f"{images:,} images: at most half of them")}

    def forward(self, batch: Batch) -> Step:
        """Return the mean of both ways' InfoNCE; the first views' projections enter the queue."""
        z1, z2 = (self.embed(view) for view in batch.views)  # (B, out_dim)
        p1, p2 = (gather(self.predictor(z)) for z in (z1, z2))  # (B of all processes, out_dim)
        u1, u2 = (unit_rows(gather(z.detach())) for z in (z1, z2))
        loss = (self._contrast(u1, p2) + self._contrast(u2, p1)) / 2
        return Step(loss, carry=(u1,))

    def _contrast(self, own: Tensor, prediction: Tensor) -> Tensor:
        nearest = self.queue.rows[top_k(own, self.queue.rows, 1)[1][:, 0]]
        return info_nce_loss(nearest, prediction, temperature=self.temperature)

    def after_step(self, step: Step, progress: float) -> None:
        """Let this step's projections into the queue: never before their use.

        Args:
            step: its carry is the projections of all processes' first views.
            progress: fraction of training done.
        """
        self.queue.enqueue(*step.carry)

    def embed(self, images: Tensor) -> Tensor:
        """Return (B, out_dim) projections, not normalised."""
        projections: Tensor = self.projector(self.backbone(images))
        return projections
