"""CosFace. Wang et al. 2018, arXiv:1801.09414, equation 4."""

from lookalike.methods.proxies import Proxies


class CosFace(Proxies):
    """The cosine with the own class centre must lead by a margin."""

    preset = "cosface"
