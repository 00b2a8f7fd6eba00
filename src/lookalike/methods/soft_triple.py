"""SoftTriple. Qian et al. 2019, arXiv:1909.05235, equation 9."""

from lookalike.methods.proxies import Proxies


class SoftTriple(Proxies):
    """Ten centres a class, of which those near an image count."""

    preset = "soft_triple"
