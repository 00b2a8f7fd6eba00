"""Runs of the real command, killed at random moments: what is resumed ends as if never killed."""

import hashlib
import json
import os
import pty
import random
import select
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from lookalike.data.resident import load_squares
from lookalike.data.sources import open_source

STEPS = 6 * (96 // 16)
ARGUMENTS = shlex.split(
    "--backbone small_conv --backbone.width 4 --size 16 --batch-size 16 --epochs 6 --seed 3 "
    "--save-every 0 --log-every 4 --monitor-every 2 --no-evaluate --device cpu"
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """96 photos of hands in one `.npz`: real images, and quick to open."""
    images = open_source("hands")
    images = images.select(np.arange(0, 1536, 16))
    squares, kept = load_squares(images, 24)
    path = tmp_path_factory.mktemp("photos") / "photos.npz"
    np.savez(path, images=squares.transpose(0, 2, 3, 1), labels=images.labels[kept])
    neighbours = [f"{a:02d},{(a + 1) % 96:02d},{a % 2}" for a in range(48)]  # as many as steps want
    (path.parent / "pairs.csv").write_text("\n".join(["path_a,path_b,same", *neighbours]))
    return path


def start(photos, out, *, workers=0, processes=1, method="simclr"):
    """Start the command in a session of its own, so that a kill reaches all its processes."""
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [*launcher, "-m", "lookalike", "train", str(photos), "--out", str(out), *ARGUMENTS]
    command += ["--method", method]
    command += ["--pairs", str(photos.parent / "pairs.csv")] if method == "drlim" else []
    if workers:
        command += ["--resident-mb", "0", "--workers", str(workers)]
    return subprocess.Popen(
        command,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(process):
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-2000:]


def kill(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def ending(out):
    """Digests of all that a finished run leaves and promises."""
    step = max((Path(out) / "checkpoints").glob("step-*"))
    tensors = load_file(step / "tensors.safetensors")
    assert json.loads((step / "state.json").read_text())["step"] == STEPS
    encoder = load_file(Path(out) / "model" / "model.safetensors")
    return {
        "metrics": (Path(out) / "metrics.jsonl").read_bytes(),
        **{f"state {name}": hashlib.sha256(t.tobytes()).digest() for name, t in tensors.items()},
        **{f"encoder {name}": hashlib.sha256(t.tobytes()).digest() for name, t in encoder.items()},
    }


def wait_for_steps(out, process, steps):
    """Return once a run has saved this many steps, or has ended."""
    while process.poll() is None:
        if saved(out) >= max(steps, 1):
            return
        time.sleep(0.002)


def saved(out):
    return max(
        (int(path.name.split("-")[1]) for path in (Path(out) / "checkpoints").glob("step-*")),
        default=0,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "processes", "method"),
    [(0, 1, "moco"), (2, 1, "simclr"), (0, 2, "npid"), (2, 2, "simclr"), (2, 2, "drlim")],
)
def test_killed_at_random_moments_it_ends_as_if_never_killed(
    tmp_path, photos, workers, processes, method
):
    """With a queue and a slow copy, with a memory bank, on pairs, and with the network alone."""
    settings = {"workers": workers, "processes": processes, "method": method}
    finish(start(photos, tmp_path / "whole", **settings))
    expected = ending(tmp_path / "whole")
    moments = random.Random(workers * 10 + processes)
    for number in range(5):  # five in each setting
        out = tmp_path / f"killed-{number}"
        process = start(photos, out, **settings)
        wait_for_steps(out, process, moments.randrange(1, STEPS))
        time.sleep(moments.random() * 0.02)
        kill(process)
        finish(start(photos, out, **settings))
        assert ending(out) == expected
        assert not list((out / "checkpoints").glob(".unfinished*"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_saves_exits_75_and_is_resumed(tmp_path, photos, number):
    finish(start(photos, tmp_path / "whole"))
    process = start(photos, tmp_path / "run")
    wait_for_steps(tmp_path / "run", process, 3)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 75, errors[-2000:]
    assert "run the same command again" in errors
    finish(start(photos, tmp_path / "run"))
    assert ending(tmp_path / "run") == ending(tmp_path / "whole")


IN_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "lookalike", *sys.argv[1:]])
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_a_terminal_that_closes_lets_the_run_save(tmp_path, photos, processes):
    out = tmp_path / "run"
    words = ["train", str(photos), "--out", str(out), *ARGUMENTS, "--epochs", "500"]
    place, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL, *words, "--processes", str(processes)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    os.close(terminal)
    reader = threading.Thread(target=read_until_closed, args=(place, out, process))
    reader.start()  # a terminal that nobody reads would hold the run up
    reader.join()
    os.close(place)
    assert process.wait(timeout=300) == 75
    assert json.loads((out / "run.json").read_text())["status"] == "preempted"


def read_until_closed(place, out, process):
    while process.poll() is None and saved(out) < 3:
        if select.select([place], [], [], 0.05)[0]:
            os.read(place, 2**16)


@pytest.mark.slow
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(tmp_path, photos):
    finish(start(photos, tmp_path / "whole"))
    out = tmp_path / "run"
    process = start(photos, out)
    wait_for_steps(out, process, 5)
    kill(process)
    newest = max((out / "checkpoints").glob("step-*"))
    tensors = newest / "tensors.safetensors"
    content = bytearray(tensors.read_bytes())
    content[len(content) // 2] ^= 1
    tensors.write_bytes(content)
    again = start(photos, out)
    _, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors[-2000:]
    assert newest.name in errors
    assert ending(out) == ending(tmp_path / "whole")
