"""DrLIM. Hadsell, Chopra and LeCun 2006, section 2.1, equation 4.

"Dimensionality Reduction by Learning an Invariant Mapping", CVPR.
"""

from lookalike.methods.metric import Metric, Preset


class DrLIM(Metric):
    """Alike images attract as springs do, others repel up to a margin.

    Deviations: pairs are all those of a batch, alike if their labels are, and similar pairs weigh
    as much as the others together; the paper takes pairs one by one, from a graph of neighbours.
    AdamW, not plain gradient descent. An embedding has 128 numbers, not the 2 of a map.
    """

    preset = Preset("batch_contrastive", {"margin": 1.0, "balanced": True})
