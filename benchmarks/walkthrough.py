"""Every command of a walk from a folder of images to a search page, run and written down.

    python benchmarks/walkthrough.py --train hands/train --test hands/test --out hands.md

Copies both folders to a scratch folder, saves a few of the photos a second time, smaller, as mails
do, runs `lookalike` there command by command, as a person would, and writes what was typed and what
was printed to a Markdown file. Training is interrupted
once, as by Ctrl-C, and goes on by the same command. Of long outputs the middle is left out, and so
it is said. A command that fails ends the walk with its output.
"""

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from machine import processor
from PIL import Image

HEAD, TAIL = 20, 18
"""Lines that are kept of a long output, at its beginning and its end."""


HEEDING = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('lookalike', run_name='__main__', alter_sys=True)"
)
"""Runs lookalike, and undoes what a shell does to commands in the background: not to see Ctrl-C."""


class Step(NamedTuple):
    """A command of the walk.

    title: heading of the page that it stands under; empty: the one before.
    command: what is typed, without the word lookalike.
    until: words after which it is interrupted, as by Ctrl-C; None: it ends by itself.
    status: that it must end with.
    """

    title: str
    command: str
    until: str | None = None
    status: int = 0


def steps(name: str, query: str, epochs: int | None, student_epochs: int | None) -> list[Step]:
    """Return the walk through the images of a folder."""
    train = f"train {name}{_epochs(epochs)} --out runs/{name}"
    student = f"small_conv --student.width 12{_epochs(student_epochs)}"
    vectors = f"{name}.vec"
    return [
        Step("Look", f"check {name}"),
        Step("", f"views {name} --out views.png"),
        Step("Train, stop, go on", train, until="epoch 3", status=75),
        Step("", train),
        Step("", f"watch runs/{name} --once"),
        Step("Judge", f"evaluate runs/{name} --data {name}-test"),
        Step("Search", f"embed runs/{name} {name} --out {vectors}"),
        Step("", f"search {vectors} {query} -k 5"),
        Step("", f"serve {vectors} --port 0", until="http://"),
        Step("Tidy up", f"leaks runs/{name} {name} {name}-test"),
        Step("", f"outliers {vectors}"),
        Step("", f"duplicates {vectors} --out copies"),
        Step("", "apply copies --move-to spare"),
        Step("", "apply copies --undo"),
        Step("", f"cluster runs/{name} {name}"),
        Step("", f"select {vectors} --count 20"),
        Step("Make it small", f"distill runs/{name} --student {student}"),
        Step("Take it elsewhere", f"export runs/{name}-small_conv --to onnx"),
        Step("", f"report runs/{name} runs/{name}-small_conv --out compare.html"),
    ]


def _epochs(count: int | None) -> str:
    return "" if count is None else f" --epochs {count}"


def run(step: Step, folder: Path) -> tuple[int, str, float]:
    """Run one command; return its status, its output and the seconds it took."""
    command = [sys.executable, "-c", HEEDING, *shlex.split(step.command)]
    began, lines, waiting = time.monotonic(), [], step.until
    with subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"COLUMNS": "100"},
    ) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            if waiting and waiting in line:
                waiting = None
                if address := re.search(r"http://\S+", line):
                    _look(address.group())
                process.send_signal(signal.SIGINT)
    return process.returncode, "\n".join(lines), time.monotonic() - began


def _look(address: str) -> None:
    """Fetch the page that is served, and fail unless it comes."""
    with urllib.request.urlopen(address, timeout=30) as page:
        assert b"<title>" in page.read()


def plant(folder: Path, count: int = 12) -> None:
    """Save some photos of a folder a second time, at nine tenths of their size."""
    photos = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in photos[:: max(len(photos) // count, 1)][:count]:
        with Image.open(path) as photo:
            smaller = photo.convert("RGB").resize([side * 9 // 10 for side in photo.size])
        smaller.save(path.with_name(f"{path.stem}-mail.jpg"), quality=80)


def shortened(text: str) -> list[str]:
    """Return the lines of an output; of a long one, the beginning and the end."""
    lines = text.splitlines()
    left_out = len(lines) - HEAD - TAIL
    if left_out < 2:
        return lines
    return [*lines[:HEAD], f"... {left_out} lines left out ...", *lines[-TAIL:]]


def walk(walked: list[Step], folder: Path) -> Iterator[str]:
    """Run all steps in a folder; yield the lines of the page."""
    for step in walked:
        status, text, seconds = run(step, folder)
        print(f"{seconds:6.1f} s  lookalike {step.command}", flush=True)
        if status != step.status:
            raise SystemExit(f"{text}\nended with {status}, not {step.status}")
        if step.title:
            yield f"\n## {step.title}"
        stopped = ["^C"] if step.until else []
        shown = "\n".join(shortened(text)).replace(str(folder) + "/", "")
        yield "\n```text"
        yield f"$ lookalike {step.command}"
        yield from shown.splitlines()
        yield from stopped
        yield f"```\n\n{seconds:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, required=True, help="folder of images")
    parser.add_argument("--test", type=Path, required=True, help="folder of others like them")
    parser.add_argument("--name", default="photos", help="what to call the first in the walk")
    parser.add_argument("--epochs", type=int, help="of the training; none: as fits")
    parser.add_argument("--student-epochs", type=int, help="of distilling; none: as fits")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file to write")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve()
        shutil.copytree(given.train, folder / given.name)
        shutil.copytree(given.test, folder / f"{given.name}-test")
        plant(folder / given.name)
        query = min(path for path in (folder / f"{given.name}-test").rglob("*") if path.is_file())
        began = time.monotonic()
        asked = str(query.relative_to(folder))
        walked = steps(given.name, asked, given.epochs, given.student_epochs)
        lines = list(walk(walked, folder))
        minutes = (time.monotonic() - began) / 60
    about = f"{processor()}, {minutes:.0f} minutes in all."
    given.out.write_text("\n".join([about, *lines]) + "\n")
    print(f"wrote {given.out}")


if __name__ == "__main__":
    main()
