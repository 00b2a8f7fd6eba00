"""Discriminants of views, in closed form. Balestriero & LeCun 2022, arXiv:2205.11508, section 3.

A linear encoder trained by VICReg, Barlow Twins or a spectral contrastive loss (HaoChen et al.
2021, arXiv:2106.04156) converges to the leading eigenvectors of what all images vary by, against
what the views of one image vary by: Fisher's discriminant with every image a class of its own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lookalike import _check
from lookalike.backbones.embedding import embedding
from lookalike.errors import DataError
from lookalike.solved.base import Pictures, Solution, Solved
from lookalike.solved.patch_dictionary import PatchDictionary

_CONSTANT = 1e-6
"""Variance over squared mean below which a feature is constant: what float32 sums round."""


class ViewDiscriminants(Solved):
    """Directions in which images differ, and views of one image do not.

    Args:
        dim: directions that are kept; fewer where the features have fewer.
        power: of each direction's eigenvalue, by which it is divided, in [0, 0.5]: 0 is Fisher's
            discriminant, 0.5 makes all directions vary alike.
        ridge: variance added to that within images, as a share of its mean, > 0.
        view_images: images that two views are made of, at the most.
        dictionary: of the features, by name, as `patch_dictionary` takes them.

    Raises:
        ValueError: an argument is out of its range.
        TypeError: `patch_dictionary` takes no such argument.
    """

    def __init__(
        self,
        *,
        dim: int = 128,
        power: float = 0.25,
        ridge: float = 1.0,
        view_images: int = 5000,
        **dictionary: Any,
    ) -> None:
        _check.at_least(1, dim=dim, view_images=view_images)
        _check.positive(ridge=ridge)
        if not 0 <= power <= 0.5:
            raise ValueError(f"power must be in [0, 0.5], got {power}")
        self.dim, self.power, self.ridge, self.view_images = dim, power, ridge, view_images
        self.features = PatchDictionary(**dictionary)

    def solve(self, pictures: Pictures, start: Solution | None = None) -> Solution:
        """Return the features of a dictionary, or of the start, seen along the discriminants."""
        features = start or self.features.solve(pictures)
        network = features.backbone.to(pictures.device).eval()
        total = pictures.part("variation", lambda: variation(pictures, network))
        scale = feature_scale(total)
        within = pictures.part("alike", lambda: {"within": self.within(pictures, network)})
        count = float(total["count"])
        covariance = total["outer"] / count - torch.outer(*[total["sum"] / count] * 2)
        directions = discriminants(
            covariance * torch.outer(scale, scale),
            within["within"] * torch.outer(scale, scale),
            dim=min(self.dim, network.dim, int(count) - 1),
            power=self.power,
            ridge=self.ridge,
        )
        return project(features, directions * scale[:, None], total["sum"] / count)

    def within(self, pictures: Pictures, network: nn.Module) -> Tensor:
        """Return the (D, D) covariance of what is alike: half of what two views differ by."""
        sums = torch.zeros(2, network.dim, network.dim, dtype=torch.float64)  # type: ignore[call-overload]
        plan = self.views
        for block in pictures.blocks("two views", most=self.view_images, plan=plan):
            first, second = (describe(network, view) for view in block.views[:2])
            sums[0] += outer(first - second)
            sums[1, 0, 0] += len(first)
        summed = pictures.total(sums)
        return summed[0] / (2 * summed[1, 0, 0])


def describe(network: nn.Module, pictures: Tensor) -> Tensor:
    """Return (B, D) features of (B, 3, S, S) pictures, without gradients."""
    with torch.inference_mode():
        features: Tensor = network(pictures.contiguous(memory_format=torch.channels_last))
    return features.float()


def outer(rows: Tensor) -> Tensor:
    """Return the sum of the outer products of rows: (B, D) -> (D, D) float64 on the CPU."""
    return (rows.T @ rows).double().cpu()


def variation(pictures: Pictures, network: nn.Module) -> dict[str, Tensor]:
    """Return the sufficient statistics of all pictures' features: count, sum and outer products."""
    dim: int = network.dim  # type: ignore[assignment]
    count, total = torch.zeros((), dtype=torch.float64), torch.zeros(dim, dtype=torch.float64)
    products = torch.zeros(dim, dim, dtype=torch.float64)
    for block in pictures.blocks("all images"):
        rows = describe(network, block.pictures)
        count += len(rows)
        total += rows.double().sum(dim=0).cpu()
        products += outer(rows)
    summed = [pictures.total(each) for each in (count, total, products)]
    return dict(zip(("count", "sum", "outer"), summed, strict=True))


def feature_scale(total: dict[str, Tensor]) -> Tensor:
    """Return (D,) float64: 1 over each feature's deviation, 0 for one that never changes.

    Raises:
        DataError: none changes.
    """
    mean = total["sum"] / total["count"]
    variance = total["outer"].diagonal() / total["count"] - mean.square()
    changes = variance > _CONSTANT * mean.square() + 1e-10
    if not changes.any():
        raise DataError(
            "all images look the same to the features: there is nothing to tell apart\n"
            "  fix: a source of different images"
        )
    return torch.where(changes, variance.clamp(min=1e-30).rsqrt(), 0.0)


def discriminants(total: Tensor, within: Tensor, *, dim: int, power: float, ridge: float) -> Tensor:
    """Return the leading generalised eigenvectors of a covariance against that of alike images.

    The columns v of (D, dim) solve T v = l (W + r I) v, with r = ridge * trace(W) / D, are scaled
    to v' (W + r I) v = 1, and then divided by l^power.

    Args:
        total: (D, D) T, the covariance of everything.
        within: (D, D) W, the covariance of what is alike.
        dim: columns.
        power: of the eigenvalues.
        ridge: as a share of W's mean variance.
    """
    total, within = total.double(), within.double()
    mean = within.diagonal().mean()
    floor = mean if mean > 0 else total.diagonal().mean()
    regular = within + ridge * floor * torch.eye(len(within), dtype=torch.float64)
    root = torch.linalg.cholesky(regular)  # R R' = W + r I
    half = torch.linalg.solve_triangular(root, total, upper=False)
    whitened = torch.linalg.solve_triangular(root, half.T, upper=False)  # R^-1 T R^-T
    values, vectors = torch.linalg.eigh((whitened + whitened.T) / 2)
    values, vectors = values.flip(0)[:dim], vectors.flip(1)[:, :dim]
    found = torch.linalg.solve_triangular(root.T, vectors, upper=True)
    largest = found.abs().argmax(dim=0)
    sign = found.gather(0, largest[None]).sign()  # an eigenvector has none of its own
    kept = values > 1e-9 * values[0]
    return torch.where(kept, found * sign * values.clamp(min=1e-30).pow(-power), 0.0)


def project(features: Solution, directions: Tensor, mean: Tensor) -> Solution:
    """Return features less their mean, seen along some directions.

    Args:
        features: what makes (B, D) of pictures.
        directions: (D, dim).
        mean: (D,).
    """
    dim = directions.shape[1]
    arguments = {"backbone": features.name, "widths": (dim,), **features.arguments}
    whole = embedding(**arguments)
    whole.backbone.load_state_dict(features.backbone.state_dict())
    linear = whole.head[0]  # type: ignore[index]
    linear.weight.data.copy_(directions.T)
    linear.bias.data.copy_(-(mean @ directions))
    return Solution(whole, "embedding", arguments)
