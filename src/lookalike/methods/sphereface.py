"""SphereFace. Liu et al. 2017, arXiv:1704.08063, equation 7."""

from lookalike.methods.proxies import Proxies


class SphereFace(Proxies):
    """Four times the angle to the own class centre must be smaller than that to any other."""

    preset = "sphereface"
