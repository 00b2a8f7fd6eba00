"""Streams of crops: the same ones with any number of workers, whatever befalls these."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from lookalike.data.order import batch_positions, epoch_order
from lookalike.data.sources import ImageSet, open_source
from lookalike.data.stream import Crops, CropStream
from lookalike.errors import DataError, LookalikeError

ORDER = epoch_order(516, seed=0, epoch=0)
BATCHES = [batch_positions(ORDER, batch=number, batch_size=10) for number in range(7)] + [ORDER[:4]]


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module of readers, where workers find it too."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    import hostile

    return hostile


@pytest.fixture(scope="module")
def hands() -> ImageSet:
    """Return the shipped photos of the held-out people."""
    return open_source("hands/test")


def stream(images: ImageSet, hostile: ModuleType, **options: object) -> CropStream:
    return CropStream(
        images,
        **{"batches": BATCHES, "boxes": hostile.simclr_boxes, "views": 2, "size": 24} | options,
    )


def same(one: Crops, other: Crops) -> bool:
    return (
        torch.equal(one.pixels, other.pixels)
        and torch.equal(one.shown, other.shown)
        and one.unreadable == other.unreadable
    )


@pytest.fixture
def expected(hands: ImageSet, hostile: ModuleType) -> list[Crops]:
    """Return all batches, made in this process."""
    return list(stream(hands, hostile))


def test_batches_have_the_shapes_that_are_promised(expected: list[Crops]) -> None:
    assert [len(crops.pixels) for crops in expected] == [10] * 7 + [4]
    assert expected[0].pixels.shape == (10, 2, 3, 24, 24)
    assert expected[0].pixels.dtype == torch.uint8
    np.testing.assert_array_equal(expected[3].shown, BATCHES[3])


@pytest.mark.parametrize("workers", [1, 2, 3, 20])
def test_any_number_of_workers_makes_the_same_batches(
    hands: ImageSet, hostile: ModuleType, expected: list[Crops], workers: int
) -> None:
    random = torch.random.get_rng_state()
    made = list(stream(hands, hostile, workers=workers))
    assert len(made) == len(expected)
    assert all(map(same, made, expected))
    assert torch.equal(torch.random.get_rng_state(), random), "no random number was drawn"
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [0, 2])
def test_one_can_begin_anywhere(
    hands: ImageSet, hostile: ModuleType, expected: list[Crops], workers: int
) -> None:
    rest = list(stream(hands, hostile, batches=BATCHES[5:], workers=workers))
    assert all(map(same, rest, expected[5:]))


def test_batches_stay_as_they_were_given(
    hands: ImageSet, hostile: ModuleType, expected: list[Crops]
) -> None:
    kept = []
    for crops in stream(hands, hostile, workers=1):
        kept.append(crops)
        crops.pixels.view(-1)[0] = 0  # its own memory: later batches do not see this
    for made, should_be in zip(kept, expected, strict=True):
        assert torch.equal(made.pixels.view(-1)[1:], should_be.pixels.view(-1)[1:])


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_gone_is_replaced_and_reported(
    hands: ImageSet, hostile: ModuleType, expected: list[Crops], workers: int
) -> None:
    gone = int(BATCHES[2][4])
    less = replace(hands, reader=hostile.GoneReader(hands.reader, frozenset([hands.keys[gone]])))
    made = list(stream(less, hostile, workers=workers))
    (told,) = made[2].unreadable
    assert told.id == hands.ids[gone]
    assert "No such file" in told.reason
    assert made[2].shown[4] == gone + 1
    for number in set(range(7)) - {2}:
        assert same(made[number], expected[number])
    others = torch.arange(10) != 4
    assert torch.equal(made[2].pixels[others], expected[2].pixels[others])


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_worker_that_dies_is_started_once_more(
    hands: ImageSet, hostile: ModuleType, expected: list[Crops], tmp_path: Path, deaths: int
) -> None:
    for ticket in range(deaths):
        (tmp_path / str(ticket)).touch()
    culprit = int(BATCHES[4][7])
    deadly = hostile.DeadlyReader(hands.reader, int(hands.keys[culprit]), tmp_path)
    made, batches = [], stream(replace(hands, reader=deadly), hostile, workers=2)
    if deaths == 1:
        assert all(map(same, batches, expected))
        assert batches.restarts == 1
        return
    with pytest.raises(DataError) as told:
        made.extend(batches)
    what, fix = str(told.value).splitlines()
    assert f"died twice while it read {hands.ids[culprit]} (it ended with code 7)" in what
    assert fix.startswith("fix: ")
    assert not multiprocessing.active_children()


def test_workers_that_cannot_begin_blame_no_image(hands: ImageSet, hostile: ModuleType) -> None:
    unknown = replace(hands, reader=hostile.Unloadable())
    with pytest.raises(LookalikeError, match="died twice before it read an image") as told:
        list(stream(unknown, hostile, workers=1))
    assert told.value.exit_code == 1


def test_no_room_for_shared_memory_is_said(
    hands: ImageSet, hostile: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: torch.Tensor) -> None:
        raise RuntimeError("No space left on device (28)")

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    with pytest.raises(LookalikeError, match=r"No space left on device \(28\)\nfix: fewer"):
        list(stream(hands, hostile, workers=1))


def test_a_worker_that_is_killed_is_replaced(
    hands: ImageSet, hostile: ModuleType, expected: list[Crops]
) -> None:
    slow = replace(hands, reader=hostile.SlowReader(hands.reader, 0.005))
    batches = stream(slow, hostile, workers=2)
    made = iter(batches)
    first = next(made)
    os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)
    assert all(map(same, [first, *made], expected))
    assert batches.restarts == 1


def test_workers_leave_signals_to_their_parent(
    hands: ImageSet, hostile: ModuleType, expected: list[Crops]
) -> None:
    slow = replace(hands, reader=hostile.SlowReader(hands.reader, 0.005))
    batches = stream(slow, hostile, workers=2)
    made = iter(batches)
    first = next(made)
    for worker in multiprocessing.active_children():
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(worker.pid or 0, number)
    assert all(map(same, [first, *made], expected))
    assert batches.restarts == 0


def test_nobody_is_left_when_the_stream_is_left(hands: ImageSet, hostile: ModuleType) -> None:
    slow = replace(hands, reader=hostile.SlowReader(hands.reader, 0.05))
    made: Iterator[Crops] = iter(stream(slow, hostile, workers=2))
    next(made)
    assert len(multiprocessing.active_children()) == 2
    made.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["kill", "exit"])
def test_workers_end_with_their_parent_and_do_not_run_its_script(
    hostile: ModuleType, tmp_path: Path, ending: str
) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(f"""
import multiprocessing, os, signal, sys
print("began", flush=True)
sys.path.insert(0, {str(Path(hostile.__file__).parent)!r})
import numpy as np
from hostile import simclr_boxes
from lookalike.data.sources import open_source
from lookalike.data.stream import CropStream
images, batches = open_source("hands"), [np.arange(64)] * 500
crops = iter(CropStream(images, batches, simclr_boxes, views=2, size=32, workers=2))
next(crops)
print(*(worker.pid for worker in multiprocessing.active_children()), flush=True)
if {ending!r} == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
""")
    # Its output ends when the last process that holds it does.
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=300, check=False
    )
    began, workers = done.stdout.splitlines()
    assert began == "began"
    assert len(workers.split()) == 2
    assert done.returncode == (-signal.SIGKILL if ending == "kill" else 0), done.stderr
    assert done.stderr == ""
