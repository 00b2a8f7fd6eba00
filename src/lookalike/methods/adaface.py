"""AdaFace. Kim, Jain and Liu 2022, arXiv:2204.00964, section 3.3."""

from lookalike.methods.proxies import Proxies


class AdaFace(Proxies):
    """A margin that asks more of good images than of poor ones, by the norms of embeddings."""

    preset = "adaface"
