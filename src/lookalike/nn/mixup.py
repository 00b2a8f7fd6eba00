"""Mixtures of images and of what is wanted of them. Zhang et al. 2017, arXiv:1710.09412."""

import torch
from torch import Tensor

from lookalike.nn.gather import gather, world_size

_STEPS = (0.6180339887498949, 0.7548776662466927)
"""Irrational, so that multiples of them, without their whole part, fill [0, 1) evenly."""


def mix(images: Tensor, wanted: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Return every image mixed with another of the batch, and what is wanted of it likewise.

    Image i is paired with the i-th from the end. Its share is uniform in [0, 1] over images and
    batches, and depends on `index` alone: any number of processes makes the same mixtures.

    Args:
        images: (B, C, H, W), of this process.
        wanted: (B, K) probabilities, likewise.
        index: (W * B,) positions of the images of all W processes, in rank order.

    Returns:
        (B, C, H, W) and (B, K).
    """
    both = [gather(each).flip(0) for each in (images, wanted)]
    place = index.double()
    shares = (place * _STEPS[0] + place.sum() * _STEPS[1]) % 1
    if world_size() > 1:
        rank, size = torch.distributed.get_rank(), len(images)
        both = [each.narrow(0, rank * size, size) for each in both]
        shares = shares.narrow(0, rank * size, size)
    share = shares.to(images.dtype)
    mixed = images.lerp(both[0], share.view(-1, 1, 1, 1))
    return mixed, wanted.lerp(both[1], share.to(wanted.dtype).unsqueeze(1))
