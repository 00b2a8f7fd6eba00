"""Discriminants of pairs. Bar-Hillel, Hertz, Shental & Weinshall 2003, ICML, section 3.

Relevant component analysis takes the covariance of what is said to be alike out of the features;
with the algebra of view discriminants it is then the leading directions that are kept.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from lookalike.errors import DataError
from lookalike.solved.base import Pictures
from lookalike.solved.view_discriminants import ViewDiscriminants, describe, outer


class PairDiscriminants(ViewDiscriminants):
    """Directions in which images differ, and images that are said to be alike do not.

    Args:
        dim: see `view_discriminants`.
        power: see `view_discriminants`.
        ridge: see `view_discriminants`.
        dictionary: see `view_discriminants`.

    Raises:
        ValueError: an argument is out of its range.
    """

    takes_pairs: ClassVar[bool] = True

    def within(self, pictures: Pictures, network: nn.Module) -> Tensor:
        """Return the (D, D) covariance of what alike images differ by, of all alike pairs.

        Raises:
            DataError: no table of pairs was given.
        """
        if pictures.pairs is None:
            raise DataError(
                "pair_discriminants learns from pairs, and there are none\n"
                "  fix: --pairs FILE, or --method view_discriminants, which needs none"
            )
        dim: int = network.dim  # type: ignore[assignment]
        named, places = torch.unique(pictures.pairs, return_inverse=True)
        vectors = torch.zeros(len(named), dim)
        for block in pictures.blocks("pairs", only=named):
            vectors[block.place.cpu()] = describe(network, block.pictures).cpu()
        vectors = pictures.total(vectors)
        products = torch.zeros(dim, dim, dtype=torch.float64)
        for part in torch.split(places, 4096):
            products += outer(vectors[part[:, 0]] - vectors[part[:, 1]])
        return products / (2 * len(places))
