"""The order in which an epoch visits the images: a function of seed and epoch alone.

The keys are SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
generators", section 4), so any machine and any number of processes find the same order, and a
resumed run needs no stored state to go on in the middle of an epoch.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def epoch_order(count: int, *, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Return a permutation of `count` positions, (count,).

    Raises:
        ValueError: count, seed or epoch is below 0.
    """
    return np.argsort(random_keys(count, seed=seed, epoch=epoch), kind="stable")


def random_keys(count: int, *, seed: int, epoch: int) -> npt.NDArray[np.uint64]:
    """Return `count` keys to sort by; more of them begin with the same ones.

    Raises:
        ValueError: count, seed or epoch is below 0.
    """
    if min(count, seed, epoch) < 0:
        raise ValueError(
            f"count, seed and epoch must be at least 0, got {count}, {seed} and {epoch}"
        )
    start = _mix(_mix(np.array([seed], np.uint64)) + np.uint64(epoch))
    return _mix(start + np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN_GAMMA)


def batch_positions(
    order: npt.NDArray[np.int64], *, batch: int, batch_size: int, rank: int = 0, world: int = 1
) -> npt.NDArray[np.int64]:
    """Return one process's share of one global batch, (b,), contiguous in the order.

    The shares of all ranks, one after the other, are the global batch; so the images of a step do
    not depend on the number of processes. The last batch of an epoch may be short.

    Args:
        order: (N,) positions in the order of the epoch.
        batch: number of the global batch in the epoch, from 0.
        batch_size: images in a global batch, over all processes.
        rank: number of this process, in [0, world).
        world: number of processes.

    Raises:
        ValueError: there is no such batch or rank, or the processes cannot share the batch evenly.
    """
    positions = order[batch * batch_size : (batch + 1) * batch_size]
    if batch < 0 or batch_size < 1 or not len(positions):
        raise ValueError(f"no batch {batch} of {batch_size} among {len(order)} images")
    if not 0 <= rank < world:
        raise ValueError(f"rank must be in [0, {world}), got {rank}")
    if len(positions) % world:
        raise ValueError(f"a batch of {len(positions)} does not divide among {world} processes")
    share = len(positions) // world
    return positions[rank * share : (rank + 1) * share]


def _mix(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return SplitMix64's output function of each state, modulo 2**64."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
