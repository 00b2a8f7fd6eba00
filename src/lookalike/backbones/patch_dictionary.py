"""Whitened patches, compared with a dictionary and pooled. Coates, Lee & Ng 2011, AISTATS 15.

Section 3, with the two-sided rectifier of Coates & Ng 2011, ICML, section 3.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lookalike import _check
from lookalike.backbones.base import Backbone

EPS = 10 / 255**2
"""Added to a patch's variance, pixels in [0, 1]: the paper's 10 for pixels up to 255."""

_FLOOR = 1e-6  # added before the square root, whose slope at 0 has no end
_CACHED = 8  # images whose maps a core's cache holds while they are rectified and pooled


def patch_dictionary(
    *,
    filters: int = 128,
    patches: tuple[int, ...] = (6, 5),
    cells: int = 2,
    threshold: float = 0.25,
) -> PatchDictionary:
    """Return one convolution at each of some scales, rectified both ways and pooled.

    Its dim is 2 * filters * cells * cells * len(patches).

    Args:
        filters: patches in the dictionary of a scale (paper: 1,600).
        patches: side of a patch at each scale, in pixels; the picture is halved from one scale to
            the next (paper: one scale, of 6).
        cells: rows, and columns, that a picture is pooled in (paper: 2).
        threshold: what a response must exceed to count (Coates & Ng 2011: 0.25).
    """
    return PatchDictionary(filters, patches, cells, threshold)


class PatchDictionary(Backbone):
    """Responses of a dictionary of whitened patches, averaged over the cells of a picture.

    Args:
        filters: see `patch_dictionary`.
        patches: see `patch_dictionary`.
        cells: see `patch_dictionary`.
        threshold: see `patch_dictionary`.

    Raises:
        ValueError: filters or cells is below 1, there is no patch or one below 2 pixels, or
            threshold is below 0.
    """

    def __init__(
        self, filters: int, patches: tuple[int, ...], cells: int, threshold: float
    ) -> None:
        _check.at_least(1, filters=filters, cells=cells, scales=len(patches))
        _check.at_least(2, **{f"patch {number}": side for number, side in enumerate(patches, 1)})
        _check.at_least(0, threshold=threshold)
        super().__init__(dim=2 * filters * cells * cells * len(patches))
        self.patches = patches
        self.scales = nn.ModuleList(Scale(filters, side, cells, threshold) for side in patches)

    @property
    def least_side(self) -> int:
        """Side of the smallest picture in which a patch of every scale fits, in pixels."""
        return max(side << number for number, side in enumerate(self.patches))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, dim).

        Raises:
            ValueError: the images are smaller than a patch.
        """
        if min(images.shape[2:]) < self.least_side:
            raise ValueError(
                f"images must be at least {self.least_side} px a side for patches of "
                f"{list(self.patches)}, got {tuple(images.shape[2:])}"
            )
        in_parts = images.device.type == "cpu" and not torch.compiler.is_compiling()
        if in_parts and not torch.is_grad_enabled() and len(images) > _CACHED:
            return torch.cat([self._respond(part) for part in torch.split(images, _CACHED)])
        return self._respond(images)

    def _respond(self, images: Tensor) -> Tensor:
        responses = []
        for number, scale in enumerate(self.scales):
            responses.append(scale(F.avg_pool2d(images, 1 << number) if number else images))
        return torch.cat(responses, dim=1)


class Scale(nn.Module):
    """A dictionary at one scale: (B, 3, H, W) -> (B, 2 * filters * cells * cells).

    A response is s = d . W (p - m), of a filter d and a patch p less its mean, over the square root
    of its variance and `EPS`; W whitens and m is the mean of such patches. As a convolution that is
    `weight` = W d less its mean, over the patch's deviation, less `bias` = d . W m.

    Args:
        filters: in the dictionary.
        patch: side of a patch in pixels.
        cells: rows, and columns, that responses are averaged over.
        threshold: what a response must exceed to count.
    """

    def __init__(self, filters: int, patch: int, cells: int, threshold: float) -> None:
        super().__init__()
        self.patch, self.cells, self.threshold = patch, cells, threshold
        weight = torch.randn(filters, 3 * patch * patch)
        weight = F.normalize(weight - weight.mean(dim=1, keepdim=True), dim=1)
        self.weight = nn.Parameter(weight.view(filters, 3, patch, patch))
        self.bias = nn.Parameter(torch.zeros(filters))

    @torch.no_grad()
    def set_dictionary(self, directions: Tensor, whiten: Tensor, mean: Tensor) -> None:
        """Take a dictionary.

        Args:
            directions: (filters, 3 * patch * patch), of whitened patches.
            whiten: (3 * patch * patch, 3 * patch * patch) symmetric: W.
            mean: (3 * patch * patch,) of patches before they are whitened: m.
        """
        folded = directions @ whiten
        self.bias.copy_(folded @ mean)
        folded = folded - folded.mean(dim=1, keepdim=True)  # so the patch's mean falls out
        self.weight.copy_(folded.view_as(self.weight))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 2 * filters * cells * cells)."""
        maps = F.conv2d(images, self.weight).float()  # (B, filters, rows, columns)
        count, filters, rows, columns = maps.shape
        places = maps.permute(0, 2, 3, 1).reshape(count, rows * columns, filters)
        places = torch.addcmul(-self.bias, places, self._inverse_deviations(images))
        cells = _cells(rows, columns, self.cells).to(places)
        # the mean of max(0, s - t) is the mean of max(s, t), less t; likewise the other way
        above = cells @ places.clamp(min=self.threshold)
        below = cells @ places.clamp(max=-self.threshold)
        pooled = torch.cat([above, -below], dim=2).flatten(1) - self.threshold
        return (pooled.clamp(min=0) + _FLOOR).sqrt()

    def _inverse_deviations(self, images: Tensor) -> Tensor:
        """Return (B, rows * columns, 1): 1 over the deviation of the patch at each place."""
        images = images.float()
        moments = torch.stack([images.mean(dim=1), images.square().mean(dim=1)], dim=1)
        for window in ((self.patch, 1), (1, self.patch)):  # one way after the other: less to add
            moments = F.avg_pool2d(moments, window, stride=1)
        mean, square = moments.unbind(dim=1)
        variance = (square - mean.square()).clamp(min=0)
        return (variance + EPS).rsqrt().flatten(1)[:, :, None]


def _cells(rows: int, columns: int, cells: int) -> Tensor:
    """Return (cells * cells, rows * columns): what averages places over the cells of a grid."""
    down, across = (_shares(side, cells) for side in (rows, columns))
    return torch.einsum("ih,jw->ijhw", down, across).reshape(cells * cells, rows * columns)


def _shares(side: int, cells: int) -> Tensor:
    """Return (cells, side): the average of each of some cells, which overlap where they must."""
    bounds = [number * side // cells for number in range(cells)]
    ends = [-(-number * side // cells) for number in range(1, cells + 1)]
    shares = torch.zeros(cells, side)
    for number, (start, end) in enumerate(zip(bounds, ends, strict=True)):
        shares[number, start:end] = 1 / (end - start)
    return shares
