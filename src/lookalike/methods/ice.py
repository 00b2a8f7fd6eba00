"""Instance Cross Entropy. Wang, Kodirov, Hua and Robertson 2019, arXiv:1911.09976."""

from lookalike.methods.metric import Metric, Preset


class ICE(Metric):
    """Each positive is to be told from all images of other classes, by itself."""

    preset = Preset("instance_cross_entropy", {})
