"""DrLIM. Hadsell, Chopra and LeCun 2006, section 2.1, equation 4.

"Dimensionality Reduction by Learning an Invariant Mapping", CVPR.
"""

import torch
from torch import Tensor

from lookalike.losses.contrastive import contrastive_loss
from lookalike.methods.base import Batch, Step
from lookalike.methods.metric import Metric, Preset
from lookalike.nn.gather import gather


class DrLIM(Metric):
    """Alike images attract as springs do, others repel up to a margin.

    With a table of pairs, these are the pairs, as in the paper. Without one, images are alike if
    their labels are.

    Deviations: without a table, pairs are all those of a batch, and similar pairs weigh as much as
    the others together; the paper takes pairs one by one, from a graph of neighbours. AdamW, not
    plain gradient descent. An embedding has 128 numbers, not the 2 of a map.
    """

    takes_pairs = True
    preset = Preset("batch_contrastive", {"margin": 1.0, "balanced": True})

    def compare(self, projections: tuple[Tensor, ...], batch: Batch) -> Step:
        """Return the loss of the pairs of this and every other process."""
        if batch.similar is None:
            return super().compare(projections, batch)
        embeddings = torch.cat([gather(view) for view in projections])  # (N, D)
        similar = gather(batch.similar).repeat(len(projections))  # (N / 2,)
        a, b = embeddings[::2], embeddings[1::2]
        loss = contrastive_loss(a, b, similar, margin=self.loss_arguments["margin"])
        with torch.no_grad():
            distances = torch.linalg.vector_norm(a.float() - b.float(), dim=1)
            logs = {
                "positive_distance": _mean(distances, similar),
                "negative_distance": _mean(distances, ~similar),
                "norm": torch.linalg.vector_norm(embeddings.float(), dim=1).mean(),
            }
        return Step(loss, logs)


def _mean(values: Tensor, among: Tensor) -> Tensor:
    """Return the mean of some values; 0 where there are none."""
    return values.where(among, 0).sum() / among.sum().clamp_min(1)
