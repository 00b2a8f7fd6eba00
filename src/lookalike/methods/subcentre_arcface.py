"""Sub-centre ArcFace. Deng et al. 2020, ECCV, section 3."""

from lookalike.methods.proxies import Proxies


class SubcentreArcFace(Proxies):
    """ArcFace with three centres a class: images with a wrong label gather at one of them."""

    preset = "arcface"
    preset_centres = 3
