"""Random numbers without state: splitmix64 (Steele et al. 2014) as a hash of who asks and when.

A number depends on (seed, epoch, index, stream) and on nothing else, so an image's views are the
same in any batch, worker, process, device or resumed run. Every step is 64-bit integer arithmetic
that wraps, which all devices do alike.
"""

from __future__ import annotations

import torch
from torch import Tensor


def _signed(word: int) -> int:
    """Return the int64 that has the bits of a 64-bit word."""
    return word - (1 << 64) if word >> 63 else word


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)


def _shift_right(words: Tensor, bits: int) -> Tensor:
    """Shift in zeros; torch's own shift of an int64 repeats the sign."""
    return (words >> bits) & ((1 << (64 - bits)) - 1)


def _mix(words: Tensor) -> Tensor:
    """Return splitmix64's finaliser: a bijection in which each bit moves half of the others."""
    words = (words ^ _shift_right(words, 30)) * _FIRST
    words = (words ^ _shift_right(words, 27)) * _SECOND
    return words ^ _shift_right(words, 31)


def uniforms(count: int, *, seed: int, epoch: int, index: Tensor, stream: int | Tensor) -> Tensor:
    """Return each image's own random numbers.

    Args:
        count: numbers an image.
        seed: of the run, in [0, 2**63).
        epoch: at least 0.
        index: (B,) int64, each image's position in its data set.
        stream: which of several independent uses, at least 0; one for all or (B,) int64.

    Returns:
        (B, count) float32, uniform on the multiples of 2**-24 in [0, 1), on the device of index.

    Raises:
        ValueError: index is not (B,) int64.
    """
    if index.ndim != 1 or index.dtype != torch.int64:
        raise ValueError(f"index must be (B,) int64, got {tuple(index.shape)} {index.dtype}")
    key = index.new_zeros(1)
    for word in (seed, epoch, stream, index):
        key = _mix(key + word + _GOLDEN)  # (1,) at first, (B,) in the end
    steps = torch.arange(1, count + 1, device=index.device) * _GOLDEN  # (count,)
    words = _mix(key[:, None] + steps)  # (B, count): splitmix64 started at each key
    return _shift_right(words, 40).float() * 2.0**-24
