"""ArcFace. Deng et al. 2018, arXiv:1801.07698, equation 3."""

from lookalike.methods.proxies import Proxies


class ArcFace(Proxies):
    """The angle to the own class centre must be smaller by a margin."""

    preset = "arcface"
