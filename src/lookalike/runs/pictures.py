"""Images for an encoder that is solved for: blocks, the same for one process and for many."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from lookalike.data.image_set import ImageSet
from lookalike.data.order import epoch_order
from lookalike.data.quarantine import Quarantine
from lookalike.data.resident import Resident, load_squares
from lookalike.durable import write_atomically
from lookalike.errors import PreemptedError
from lookalike.solved.base import Block
from lookalike.training.distributed import World
from lookalike.training.progress import Progress
from lookalike.training.signals import StopRequest
from lookalike.views.make import make_views
from lookalike.views.plans import IDENTITY, Plan

BLOCK = 256
"""Images of a block; the sums of a block come out the same wherever it is computed."""

_WHOLE = IDENTITY.views[:1]


class PicturesOfRun:
    """The images of a run, in blocks, and what was solved of them so far.

    Args:
        images: those that can be read.
        resident: their pixels, if they are kept in memory.
        pairs: (P, 2) positions of images that are alike; None where no table lists any.
        size: side of a picture in pixels.
        mean: (3,) taken out of the channels.
        std: (3,) that the channels are divided by.
        seed: of every draw.
        world: the processes that share the blocks.
        folder: where solved parts are kept; made on use.
        progress: told of every block.
        stop: asked before each block whether to stop.
        max_pixels: larger images count as unreadable.
        quarantine: takes note of what cannot be read any more.
    """

    def __init__(
        self,
        images: ImageSet,
        resident: Resident | None,
        *,
        pairs: Tensor | None,
        size: int,
        mean: Sequence[float],
        std: Sequence[float],
        seed: int,
        world: World,
        folder: Path,
        progress: Progress,
        stop: StopRequest,
        max_pixels: int,
        quarantine: Quarantine,
    ) -> None:
        self.count, self.classes = len(images), len(images.class_names)
        self.size, self.seed, self.device, self.pairs = size, seed, world.device, pairs
        self._mean, self._std = tuple(mean), tuple(std)
        self._images, self._resident, self._world = images, resident, world
        self._folder, self._progress, self._stop = folder, progress, stop
        self._max_pixels, self._quarantine = max_pixels, quarantine

    def blocks(
        self,
        title: str,
        *,
        most: int | None = None,
        only: Tensor | None = None,
        plan: Plan | None = None,
    ) -> Iterator[Block]:
        """Yield this process's blocks; see `Pictures`.

        Raises:
            PreemptedError: a signal asked to stop.
        """
        drawn = np.arange(self.count)
        if only is not None:
            drawn = only.numpy()
        elif most is not None and most < self.count:
            drawn = np.sort(epoch_order(self.count, seed=self.seed, epoch=0)[:most])
        starts = range(0, len(drawn), BLOCK)
        for number, start in enumerate(starts):
            (stopping,) = self._world.any(bool(self._stop))
            if stopping:
                raise PreemptedError("a signal asked to stop; the parts that are solved are saved")
            if number % self._world.size == self._world.rank:
                place = np.arange(start, min(start + BLOCK, len(drawn)))
                yield self._block(drawn, place, plan)
            done = min(start + BLOCK, len(drawn))
            self._progress.show(done, len(drawn), {}, noun=f"{title}: image")

    def _block(
        self, drawn: npt.NDArray[np.int64], place: npt.NDArray[np.int64], plan: Plan | None
    ) -> Block:
        pixels, sizes, kept = self._read(drawn[place], larger=plan is not None)
        place = place[kept]
        index = torch.from_numpy(drawn[place]).to(self.device)
        shown = Plan("pictures", (*_WHOLE, *(plan.views if plan else ())), normalise=True)
        made = make_views(
            shown,
            pixels.to(self.device),
            sizes.to(self.device),
            index,
            size=self.size,
            seed=self.seed,
            epoch=0,
            mean=self._mean,
            std=self._std,
        )
        labels = torch.from_numpy(self._images.labels[drawn[place]]).to(self.device)
        return Block(made[0], index, torch.from_numpy(place), labels, made[1:])

    def _read(
        self, positions: npt.NDArray[np.int64], *, larger: bool
    ) -> tuple[Tensor, Tensor, npt.NDArray[np.int64]]:
        """Return pixels, sizes and the rows that could be read; `larger` leaves room for crops."""
        if self._resident is not None:
            pixels = torch.from_numpy(self._resident.pixels[positions])
            sizes = torch.from_numpy(self._resident.sizes[positions])
            return pixels, sizes, np.arange(len(positions))
        side = 2 * self.size if larger else self.size
        squares, kept = load_squares(
            self._images.select(positions),
            side,
            max_pixels=self._max_pixels,
            quarantine=self._quarantine,
        )
        return torch.from_numpy(squares), torch.full((len(squares), 2), side), kept

    def total(self, tensor: Tensor) -> Tensor:
        """Return the sum over all processes of each one's CPU tensor."""
        return self._world.collect(tensor).sum(dim=0)

    def part(self, name: str, solve: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return what `solve` returns, from disk if an earlier process came so far."""
        path = self._folder / f"{name.replace(' ', '-')}.safetensors"
        found = _load(path)
        (missing,) = self._world.any(found is None)
        if found is not None and not missing:
            return found
        solved = solve()
        if self._world.leads:
            self._folder.mkdir(parents=True, exist_ok=True)
            content = {key: tensor.contiguous() for key, tensor in solved.items()}
            write_atomically(
                path, safetensors.torch.save(content, metadata={"sha256": _digest(content)})
            )
        self._world.wait()
        return solved


def _load(path: Path) -> dict[str, Tensor] | None:
    """Return the tensors of a part, None where it is missing, damaged or cut short."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no dict
            told = (file.metadata() or {}).get("sha256")
    except (OSError, safetensors.SafetensorError):
        return None
    return found if told == _digest(found) else None


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
