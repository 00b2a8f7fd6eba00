"""Checkpoints on bad days: killed writers, full disks, rotten bits, hostile files, busy readers.

Run as a program, this file kills processes in the middle of a save; a test below runs it so.
"""

import builtins
import errno
import hashlib
import io
import os
import pickle
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from lookalike.checkpoint import load_checkpoint, save_checkpoint
from lookalike.errors import LookalikeError

FILES = ("tensors.safetensors", "state.json", "MANIFEST.sha256")


def state_of(step: int) -> dict[str, Any]:
    return {"step": step, "weights": torch.full((5, 3), float(step)), "bytes": bytes_of(step)}


def bytes_of(step: int) -> torch.Tensor:
    return torch.full((100,), step % 256, dtype=torch.uint8)


def is_whole(state: dict[str, Any]) -> bool:
    step = state["step"]
    return bool((state["weights"] == step).all() and (state["bytes"] == step % 256).all())


class Saboteur:
    """Counts every byte written and every change to the file system; acts at one of them.

    Args:
        moment: the count at which `act` is called; the byte or change of that count is not done.
        act: is given the event's name; raises, ends the process, or lets it happen.
    """

    CHANGES = ("mkdir", "fsync", "rename", "replace", "unlink", "rmdir")

    def __init__(self, moment: int, act: Callable[[str], None]) -> None:
        self.left, self.act, self.count, self.changes = moment, act, 0, list[int]()

    def spend(self, amount: int) -> int:
        """Return how many of these events may happen."""
        allowed = min(amount, self.left)
        self.left -= allowed
        self.count += allowed
        return allowed

    def write(self, raw: io.FileIO, part: Any) -> int:
        allowed = self.spend(len(part))
        raw.write(part[:allowed])
        if allowed < len(part):
            self.act("write")
        return allowed

    def change(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*arguments: Any, **options: Any) -> Any:
            self.changes.append(self.count)
            if not self.spend(1):
                self.act(real.__name__)
            return real(*arguments, **options)

        return changed

    def open(self, path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if "r" in mode:
            return self._open(path, mode, *arguments, **options)
        file = self._open(path, mode, buffering=0)
        return _Sabotaged(file, self)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        real = {name: getattr(os, name) for name in self.CHANGES}
        self._open = builtins.open
        builtins.open = self.open  # type: ignore[assignment]
        for name, function in real.items():
            setattr(os, name, self.change(function))
        try:
            yield
        finally:
            builtins.open = self._open
            for name, function in real.items():
                setattr(os, name, function)


class _Sabotaged(io.RawIOBase):
    """An unbuffered file whose writes the saboteur sees."""

    def __init__(self, raw: io.FileIO, saboteur: Saboteur) -> None:
        self.raw, self.saboteur = raw, saboteur

    def write(self, part: Any) -> int:
        return self.saboteur.write(self.raw, part)

    def fileno(self) -> int:
        return self.raw.fileno()

    def close(self) -> None:
        self.raw.close()
        super().close()


def fill_disk(event: str) -> None:
    if event not in ("unlink", "rmdir"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def die(event: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def moments(folder: Path, *, bytes_too: int) -> list[int]:
    """Return the counts of every change that a save makes, and of some bytes that it writes."""
    trial = shutil.copytree(folder, folder.with_name("trial"))
    watcher = Saboteur(10**9, die)
    with watcher.at_work():
        save_checkpoint(trial, 4, state_of(4), keep=2)
    shutil.rmtree(trial)
    chosen = random.Random(0).sample(range(watcher.count), bytes_too)
    return sorted({*watcher.changes, *chosen})


def prepare(folder: Path) -> Path:
    """Two checkpoints, so that saving a third one writes, names, and prunes."""
    for step in (2, 3):
        save_checkpoint(folder, step, state_of(step), keep=2)
    return folder


def assert_nothing_is_lost(folder: Path) -> None:
    """The last whole checkpoint is there, and the next save leaves a clean folder."""
    found = load_checkpoint(folder)
    assert found is not None
    assert found.damaged == ()
    assert found.step in (3, 4)
    assert is_whole(found.state)
    assert (folder / (folder / "LATEST").read_text().strip()).is_dir()
    for visible in folder.glob("step-*"):
        assert {file.name for file in visible.iterdir()} == set(FILES)
    path = save_checkpoint(folder, 5, state_of(5), keep=1)
    assert {entry.name for entry in folder.iterdir()} == {path.name, "LATEST"}


def kill_many_saves(scratch: Path) -> None:
    """Kill a process at every change of a save and at many bytes; look at what is left."""
    before = prepare(scratch / "before")
    times = moments(before, bytes_too=60)
    steps = set()
    for moment in times:
        folder = shutil.copytree(before, scratch / "after")
        child = os.fork()
        if child == 0:
            with Saboteur(moment, die).at_work():
                save_checkpoint(folder, 4, state_of(4), keep=2)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, moment
        found = load_checkpoint(folder)
        assert found is not None
        steps.add(found.step)
        assert_nothing_is_lost(folder)
        shutil.rmtree(folder)
    assert steps == {3, 4}
    print(len(times), "killed")


def test_a_killed_save_leaves_the_last_whole_one(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, __file__, tmp_path], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    assert int(told.stdout.split()[0]) > 60


def test_a_disk_that_fills_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    before = prepare(tmp_path / "before")
    for moment in moments(before, bytes_too=50):
        folder = shutil.copytree(before, tmp_path / "after")
        said_saved = False
        with Saboteur(moment, fill_disk).at_work(), suppress(LookalikeError):
            save_checkpoint(folder, 4, state_of(4), keep=2)
            said_saved = True
        found = load_checkpoint(folder)
        assert found is not None
        assert found.step == 4 or not said_saved
        assert not list(folder.glob(".*"))
        assert_nothing_is_lost(folder)
        shutil.rmtree(folder)


@pytest.mark.parametrize("limit", [100, 900])
def test_a_limit_on_file_size_is_told_and_loses_nothing(tmp_path: Path, limit: int) -> None:
    folder = prepare(tmp_path / "run")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(LookalikeError, match=r"no space left .*\n  fix: "):
            save_checkpoint(folder, 4, {**state_of(4), "large": torch.zeros(1000)}, keep=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(folder.glob(".*"))
    assert_nothing_is_lost(folder)


@pytest.mark.parametrize("name", FILES)
def test_any_flipped_bit_is_seen(tmp_path: Path, name: str) -> None:
    folder = prepare(tmp_path / "run")
    file = folder / "step-000000003" / name
    content = file.read_bytes()
    for position in range(len(content)):
        rotten = bytearray(content)
        rotten[position] ^= 1 << position % 8
        file.write_bytes(rotten)
        found = load_checkpoint(folder)
        assert found is not None
        assert (found.step, is_whole(found.state)) == (2, True)
        assert len(found.damaged) == 1
        assert found.damaged[0].startswith("step-000000003: ")


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_is_seen(tmp_path: Path, name: str) -> None:
    folder = prepare(tmp_path / "run")
    file = folder / "step-000000003" / name
    for size in range(file.stat().st_size - 1, -1, -7):
        os.truncate(file, size)
        found = load_checkpoint(folder)
        assert found is not None
        assert (found.step, is_whole(found.state), len(found.damaged)) == (2, True, 1)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_or_unreadable_file_is_named(tmp_path: Path, name: str) -> None:
    folder = prepare(tmp_path / "run")
    file = folder / "step-000000003" / name
    file.unlink()
    found = load_checkpoint(folder)
    assert found is not None
    assert (found.step, found.damaged) == (2, (f"step-000000003: {name} is missing",))
    file.mkdir()
    found = load_checkpoint(folder)
    assert found is not None
    assert found.damaged == (f"step-000000003: {name} cannot be read: Is a directory",)


def sealed(folder: Path, **contents: bytes) -> Path:
    """A checkpoint whose checksums are right and whose content is not ours."""
    path = folder / "step-000000009"
    path.mkdir()
    lines = ""
    for name, content in zip(FILES, contents.values(), strict=False):
        (path / name).write_bytes(content)
        lines += f"{hashlib.sha256(content).hexdigest()}  {name}\n"
    (path / "MANIFEST.sha256").write_text(lines)
    return path


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[",
        b"[]",
        b"{}",
        b"\xff",
        b'{"format": 1, "step": 9}',
        b'{"format": 1, "step": 9, "state": {"$tensor": "no such"}}',
        b'{"format": 1, "step": 9, "state": {"$tensor": []}}',
        b'{"format": 1, "step": 9, "state": {"$dict": [1]}}',
        b'{"format": 2, "step": 9, "state": {}}',
    ],
)
def test_content_that_makes_no_sense_is_passed_over(tmp_path: Path, text: bytes) -> None:
    folder = prepare(tmp_path / "run")
    tensors = (folder / "step-000000003" / "tensors.safetensors").read_bytes()
    sealed(folder, tensors=tensors, state=text)
    found = load_checkpoint(folder)
    assert found is not None
    assert (found.step, len(found.damaged)) == (3, 1)
    assert found.damaged[0].startswith("step-000000009: its ")


def test_pickled_code_never_runs(tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (os.fspath(tmp_path / "it ran"),)

    folder = prepare(tmp_path / "run")
    archive = io.BytesIO()
    torch.save(Payload(), archive)
    for payload in (pickle.dumps(Payload()), archive.getvalue()):
        path = sealed(folder, tensors=payload, state=payload)
        (path / "model.pt").write_bytes(payload)
        (folder / "LATEST").write_bytes(payload)
        (folder / "step-000000010").write_bytes(payload)
        found = load_checkpoint(folder)
        assert found is not None
        assert (found.step, len(found.damaged)) == (3, 2)
        assert not (tmp_path / "it ran").exists()
        shutil.rmtree(path)


@pytest.mark.parametrize("latest", [None, b"", b"step-000000002", b"../elsewhere", b"\xff\0"])
def test_LATEST_is_for_others_and_never_trusted(tmp_path: Path, latest: bytes | None) -> None:  # noqa: N802
    folder = prepare(tmp_path / "run")
    (folder / "LATEST").unlink()
    if latest is not None:
        (folder / "LATEST").write_bytes(latest)
    found = load_checkpoint(folder)
    assert found is not None
    assert found.step == 3


def test_says_so_when_all_are_damaged(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "run")
    for path in folder.glob("step-*"):
        (path / "state.json").unlink()
    with pytest.raises(LookalikeError, match=r"every checkpoint in .* is damaged") as told:
        load_checkpoint(folder)
    assert "step-000000003: state.json is missing; step-000000002: " in str(told.value)


def test_readers_beside_a_writer_always_find_a_whole_one(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 0, state_of(0), keep=1)
    done = threading.Event()
    failures: list[BaseException] = []

    def read() -> None:
        last = 0
        try:
            while not done.is_set():
                found = load_checkpoint(tmp_path)
                assert found is not None
                assert found.damaged == ()
                assert is_whole(found.state)
                assert found.step >= last
                last = found.step
        except BaseException as failure:
            failures.append(failure)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for step in range(1, 60):
        save_checkpoint(tmp_path, step, state_of(step), keep=1)
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []


def test_a_reader_whose_checkpoint_is_pruned_takes_the_newer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path, 1, state_of(1))
    read = Path.read_bytes

    def read_too_late(path: Path) -> bytes:
        monkeypatch.undo()
        save_checkpoint(tmp_path, 2, state_of(2), keep=1)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_too_late)
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert (found.step, found.damaged) == (2, ())


if __name__ == "__main__":
    kill_many_saves(Path(sys.argv[1]))
