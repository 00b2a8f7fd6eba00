"""Normalised softmax. Zhai and Wu 2018, arXiv:1811.12649, equation 6."""

from lookalike.methods.proxies import Preset, Proxies


class NormalisedSoftmax(Proxies):
    """A softmax over the cosines with class centres, without a margin."""

    preset = Preset("normalised_softmax")
