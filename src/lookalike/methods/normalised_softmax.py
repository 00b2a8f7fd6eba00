"""Normalised softmax. Zhai and Wu 2018, arXiv:1811.12649, equation 6."""

from lookalike.methods.proxies import Proxies


class NormalisedSoftmax(Proxies):
    """A softmax over the cosines with class centres, without a margin."""

    preset = "normalised_softmax"
