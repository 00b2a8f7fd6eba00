"""N-pair. Sohn 2016, equation 6.

"Improved Deep Metric Learning with Multi-class N-pair Loss Objective", NeurIPS.
"""

from lookalike.methods.metric import Metric, Preset


class NPair(Metric):
    """One positive against a negative of every other class in the batch.

    Deviations: classes are drawn at random, not mined.
    """

    images_per_class = 2
    preset = Preset("n_pair")
