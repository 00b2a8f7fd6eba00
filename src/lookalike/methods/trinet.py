"""In Defense of the Triplet Loss. Hermans, Beyer and Leibe 2017, arXiv:1703.07737, equation 5."""

from lookalike.methods.metric import Metric, Preset


class TriNet(Metric):
    """Batch Hard: each image with its farthest positive and its nearest negative of the batch.

    Deviations: the learning rate rises in the first epoch and falls by a cosine. No image is seen
    in several crops when it is embedded.
    """

    preset = Preset(
        "triplet",
        {"margin": "soft", "mining": "batch_hard", "distance": "euclidean", "normalise": False},
        widths=(1024, 128),
    )
