"""Help is what a person sees first: complete, in columns, and on the screen at once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from lookalike.cli.app import COMMANDS, main
from lookalike.cli.command import read_command
from lookalike.cli.parse import flag

EVERY = [name for names in COMMANDS.values() for name in names]


@pytest.fixture(autouse=True)
def _screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_the_overview_tells_of_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {name} " in shown for name in EVERY)
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize("name", EVERY)
def test_a_manual_tells_of_every_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out.replace("--[no-]", "--")
    command = read_command(name, [])
    assert all(f"  {flag(option)}" in shown for option in command.options)
    assert all(operand.name.upper() in shown for operand in command.operands)


def test_a_manual_fits_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_the_manual_of_a_choice_tells_of_its_own_options(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["train", "--optim", "lars", "--help"])
    shown = capsys.readouterr().out
    assert "Of the optimizer, lars" in shown
    assert "Of the student's backbone, whichever is chosen" in shown
    assert "--optim.trust-coefficient X" in shown
    assert "--optim.nesterov" not in shown


def test_there_is_no_colour_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "--help"])
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["papers"], *([name, "--help"] for name in EVERY)]
)
def test_nothing_heavy_is_imported_for_it(words: list[str]) -> None:
    script = f"""
import json, sys
from lookalike.cli.app import main
code = main({words!r})
heavy = {{"torch", "torchvision", "timm", "rich", "jinja2", "pyarrow"}} & sys.modules.keys()
print("\\n" + json.dumps([code, sorted(heavy)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]
