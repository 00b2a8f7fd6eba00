"""Worker processes that make batches of crops.

Not torch's `DataLoader`: here each worker has its own pipe and its own batches, so a death is
noticed at once, it is known at which image, and only that worker's batches are made again. Nothing
is shared but the memory that crops are written into; no signal handler is put into the parent, and
none of its random numbers are drawn.

Workers come from a fork server, so that they inherit neither the parent's threads and locks nor its
device; and they do not run the user's script again, whether or not it guards its main part.
"""

from __future__ import annotations

import functools
import multiprocessing
import signal
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.util import Finalize

import torch
from torch import Tensor

from lookalike.data.crops import Cropper, Positions, Unread
from lookalike.errors import DataError, LookalikeError

_AHEAD = 2  # batches that a worker makes before the first of them is taken

_Made = tuple[Positions, list[Unread]]


class Worker:
    """A process that makes batches, in order, a little ahead of their being taken.

    Args:
        cropper: makes them.
        batches: the places of each batch's images in their set.
        room: images in the largest batch.
    """

    def __init__(self, cropper: Cropper, batches: Sequence[Positions], *, room: int) -> None:
        self.restarts = 0
        self._cropper = cropper
        self._batches = batches
        self._taken = 0
        self._died_at = -1
        shape = (room, cropper.views, 3, cropper.size, cropper.size)
        self._slots = [_shared(torch.empty(shape, dtype=torch.uint8)) for _ in range(_AHEAD)]
        self._row = _shared(torch.empty(1, dtype=torch.int64))  # that it is working on
        self._start()

    def take(self) -> tuple[Tensor, Positions, list[Unread]]:
        """Return the next batch: its crops, (B, views, 3, size, size), and what `cut` returned.

        Raises:
            DataError: no image can be read.
            WorkerDiedError: the process died twice at this batch.
        """
        while True:
            try:
                made: _Made | DataError = self._connection.recv()
                break
            except (EOFError, OSError) as problem:
                self._start_again(problem)
        if isinstance(made, DataError):
            raise made
        slot = self._slots[(self._taken - self._first) % _AHEAD]
        pixels = slot[: len(self._batches[self._taken])].clone()
        self._taken += 1
        self._let_go_on()
        return pixels, *made

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._end()
        self._connection.close()

    def _start(self) -> None:
        self._first = self._taken
        self._row.fill_(-1)
        self._connection, theirs = _context().Pipe()
        work = (self._cropper, self._batches[self._taken :], self._slots, self._row)
        self._process = _context().Process(target=_serve, args=(theirs, *work), daemon=True)
        with _no_main_module():
            self._process.start()
        theirs.close()
        # At exit, Python would ask the process to terminate, which it ignores, and wait for it.
        self._end = Finalize(self, _kill, (self._process,), exitpriority=10)
        for _ in range(_AHEAD):
            self._let_go_on()

    def _let_go_on(self) -> None:
        """Tell the process that one more slot is free."""
        with suppress(OSError):  # if it is dead, the next `take` will notice
            self._connection.send_bytes(b"")

    def _start_again(self, problem: Exception) -> None:
        self._process.join(timeout=5)
        if self._died_at == self._taken:
            row = int(self._row)
            place = int(self._batches[self._taken][row]) if row >= 0 else None
            raise WorkerDiedError(place, _how_it_ended(self._process.exitcode)) from problem
        self._died_at = self._taken
        self.restarts += 1
        self.stop()
        self._start()


class WorkerDiedError(Exception):
    """A worker died twice at one batch.

    Args:
        position: the place in the set of the image it was working on; None if it had not begun.
        how: how the process ended.
    """

    def __init__(self, position: int | None, how: str) -> None:
        super().__init__(f"a worker died twice at image {position}: {how}")
        self.position = position
        self.how = how


def _serve(
    connection: Connection,
    cropper: Cropper,
    batches: Sequence[Positions],
    slots: Sequence[Tensor],
    row: Tensor,
) -> None:
    """Make batches until there are no more, or the parent is gone."""
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
    ):  # the parent gets them too, and decides
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)
    working_on = row.numpy()

    def note(number: int) -> None:
        working_on[0] = number

    try:
        for turn, positions in enumerate(batches):
            connection.recv_bytes()
            pixels = slots[turn % len(slots)][: len(positions)].numpy()
            try:
                connection.send(cropper.cut(positions, pixels, note))
            except DataError as problem:
                connection.send(problem)
    except (EOFError, ConnectionError):
        return


def _shared(tensor: Tensor) -> Tensor:
    try:
        tensor.share_memory_()  # type: ignore[no-untyped-call]
    except RuntimeError as problem:
        raise LookalikeError(
            f"no room for {tensor.nbytes:,} bytes of memory shared with workers: {problem}\n"
            "fix: fewer --workers, a smaller batch, or more room in /dev/shm"
        ) from problem
    return tensor


def _kill(process: multiprocessing.process.BaseProcess) -> None:
    process.kill()
    process.join()


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"it ended with code {code}"


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Hide the user's script, which a new process would otherwise import."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@functools.cache
def _context() -> ForkServerContext | SpawnContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # torch is imported once, not once a worker
    return context
