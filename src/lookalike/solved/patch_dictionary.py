"""A dictionary of whitened patches. Coates, Lee & Ng 2011, AISTATS 15; Coates & Ng 2012.

Spherical k-means of patches after ZCA, section 2 and 3 of *Learning Feature Representations with
K-means*; the encoder is `backbones/patch_dictionary.py`.
"""

from __future__ import annotations

from functools import partial
from typing import TypedDict

import torch
from torch import Tensor
from torch.nn import functional as F

from lookalike import _check
from lookalike.backbones.patch_dictionary import EPS, Scale
from lookalike.backbones.patch_dictionary import patch_dictionary as build
from lookalike.errors import DataError, UsageError
from lookalike.randomness import uniforms
from lookalike.solved.base import Pictures, Solution, Solved


class _Arguments(TypedDict):
    """What the backbone is built from."""

    filters: int
    patches: tuple[int, ...]
    cells: int
    threshold: float


MOST_IMAGES = 20_000
"""Images that patches are cut from at the most: more images tell a dictionary nothing new."""

_STREAM = 40  # of random numbers: below are those of views


class PatchDictionary(Solved):
    """Features of a picture: how much it looks, here and there, like each of some patches.

    Args:
        filters: patches in the dictionary of a scale (paper: 1,600).
        patches: side of a patch at each scale, in pixels; each scale halves the picture before
            (paper: one scale, of 6).
        cells: rows, and columns, that a picture is pooled in (paper: 2).
        threshold: what a response must exceed to count, at least 0.
        patch_count: patches that the dictionary of a scale is made from (paper: 400,000).
        rounds: of k-means.
        zca: what is added to the patches' eigenvalues, > 0 (paper: 0.1).

    Deviations: the square root of what is pooled; two scales; fewer filters and patches.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        *,
        filters: int = 128,
        patches: tuple[int, ...] = (6, 5),
        cells: int = 2,
        threshold: float = 0.25,
        patch_count: int = 100_000,
        rounds: int = 12,
        zca: float = 0.1,
    ) -> None:
        _check.at_least(1, patch_count=patch_count, rounds=rounds)
        _check.positive(zca=zca)
        self.arguments = _Arguments(
            filters=filters, patches=tuple(patches), cells=cells, threshold=threshold
        )
        self.patch_count, self.rounds, self.zca = patch_count, rounds, zca
        build(**self.arguments)  # refuses what cannot be

    def solve(self, pictures: Pictures, start: Solution | None = None) -> Solution:
        """Return the dictionary's features; an encoder to start from is refused."""
        if start is not None:
            raise UsageError("patch_dictionary starts from no encoder\n  fix: leave --from out")
        network = build(**self.arguments)
        if pictures.size < network.least_side:
            raise DataError(
                f"pictures of {pictures.size} px are smaller than the patches "
                f"{list(self.arguments['patches'])}\n"
                f"  fix: --size {network.least_side}, or smaller --method.patches"
            )
        for number, scale in enumerate(network.scales):
            learn = partial(self._learn, pictures, number)
            scale.load_state_dict(pictures.part(f"dictionary {number}", learn))
        return Solution(network, "patch_dictionary", dict(self.arguments))

    def _learn(self, pictures: Pictures, number: int) -> dict[str, Tensor]:
        """Return the weight and bias of a scale."""
        filters, side = self.arguments["filters"], self.arguments["patches"][number]
        patches = normalise_patches(self._cut(pictures, number, side))
        mean = patches.mean(dim=0)
        patches -= mean
        whiten = zca_matrix(patches.T.double() @ patches.double() / len(patches), self.zca)
        generator = torch.Generator().manual_seed(pictures.seed * 1_000_003 + number)
        directions = spherical_kmeans(
            patches @ whiten, filters, rounds=self.rounds, generator=generator
        )
        scale = Scale(filters, side, self.arguments["cells"], self.arguments["threshold"])
        scale.set_dictionary(directions, whiten, mean)
        return {name: tensor.detach() for name, tensor in scale.state_dict().items()}

    def _cut(self, pictures: Pictures, number: int, side: int) -> Tensor:
        """Return patches from random places: (P, 3 * side * side) in [0, 1]."""
        most = min(pictures.count, MOST_IMAGES)
        width = pictures.size >> number
        each = min(-(-self.patch_count // most), (width - side + 1) ** 2)
        cut = torch.zeros(most * each, 3 * side * side)
        have = torch.zeros(most * each)
        for block in pictures.blocks(f"patches of {side} px", most=most):
            images = F.avg_pool2d(block.pictures, 1 << number).cpu()
            places = uniforms(
                2 * each,
                seed=pictures.seed,
                epoch=0,
                index=block.index.cpu(),
                stream=_STREAM + number,
            )
            corners = (places * (width - side + 1)).long().clamp(max=width - side)
            top, left = corners[:, :each, None], corners[:, each:, None]
            reach = torch.arange(side)
            rows, columns = (top + reach)[:, :, :, None], (left + reach)[:, :, None, :]
            image = torch.arange(len(images))[:, None, None, None]
            found = images.permute(0, 2, 3, 1)[image, rows, columns]  # (B, each, side, side, 3)
            found = found.permute(0, 1, 4, 2, 3).flatten(2)
            at = block.place.cpu()[:, None] * each + torch.arange(each)
            cut[at.flatten()] = found.flatten(0, 1)
            have[at.flatten()] = 1
        return pictures.total(cut)[pictures.total(have) > 0]


def normalise_patches(patches: Tensor) -> Tensor:
    """Return (P, D) patches less their mean, over the root of their variance and `EPS`."""
    patches = patches - patches.mean(dim=1, keepdim=True)
    return patches * (patches.square().mean(dim=1, keepdim=True) + EPS).rsqrt()


def zca_matrix(covariance: Tensor, eps: float) -> Tensor:
    """Return V (e + eps)^-1/2 V', float32, of a covariance V e V': (D, D) -> (D, D)."""
    values, vectors = torch.linalg.eigh(covariance.double())
    root: Tensor = (vectors * (values.clamp(min=0) + eps).rsqrt()) @ vectors.T
    return root.float()


def spherical_kmeans(
    rows: Tensor, count: int, *, rounds: int, generator: torch.Generator
) -> Tensor:
    """Return directions that rows gather around, either way: (N, D) -> (count, D), of length 1.

    Each row belongs to the direction with the largest |cosine|; a direction becomes the sum of its
    rows, each with the sign of its product. One that no row belongs to is drawn anew.

    Args:
        rows: to be grouped; their lengths are their weights.
        count: of directions.
        rounds: of assigning and moving.
        generator: of the random directions at the start.
    """
    dim = rows.shape[1]
    directions = F.normalize(torch.randn(count, dim, generator=generator), dim=1)
    for _ in range(rounds):
        sums = torch.zeros_like(directions)
        for part in torch.split(rows, 8192):
            products = part @ directions.T
            nearest = products.abs().argmax(dim=1)
            sign = products.gather(1, nearest[:, None]).sign()
            sums.index_add_(0, nearest, part * sign)
        alone = sums.norm(dim=1) < 1e-6
        sums[alone] = torch.randn(int(alone.sum()), dim, generator=generator)
        directions = F.normalize(sums, dim=1)
    return directions
