"""Neighbourhood Components Analysis. Goldberger, Roweis, Hinton and Salakhutdinov 2004, sec. 2."""

from lookalike.methods.metric import Metric, Preset


class NCA(Metric):
    """Raise the chance that a neighbour, drawn by distance, is of the same class.

    Deviations: a network in place of a matrix, and batches in place of the whole data set.
    """

    preset = Preset("nca")
