"""Every code block of the documentation works.

What a block says after its three backticks decides what is done with it:

- `python`: it is run, in order, in one namespace and one empty folder a page.
- `python FILE`: it is written to that file in the page's folder, for what comes later.
- `console`: lines that begin with `$ ` are commands. Those of lookalike are parsed, with every
  option checked; a target of make must exist.
- `console run`: as above, and lookalike's commands are run, in the page's folder.
- `text`, `json`, `toml`, `bibtex` or nothing: it is shown and no more.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lookalike.cli.app import main
from lookalike.cli.command import read_command
from lookalike.cli.parse import parse

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SHOWN = {"", "text", "json", "toml", "bibtex"}


class Block(NamedTuple):
    """A fenced block of a page.

    line: where its content begins, counted from 1.
    language: the first word after the backticks.
    rest: what follows that word.
    content: its lines.
    """

    line: int
    language: str
    rest: str
    content: str


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    fences = re.finditer(r"^```(\w*)[ ]*([^\n]*)\n(.*?)^```[ ]*$", text, re.MULTILINE | re.DOTALL)
    return [Block(text[: each.start(3)].count("\n") + 1, *each.groups()) for each in fences]


def commands_of(block: Block) -> list[str]:
    """Return the commands of a console block, lines that end in a backslash joined."""
    joined = block.content.replace("\\\n", " ")
    return [line[2:] for line in joined.splitlines() if line.startswith("$ ")]


def check_command(command: str) -> None:
    name, *words = shlex.split(command, comments=True)
    if name == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        asked = [word for word in words if "=" not in word]
        assert set(asked) <= set(targets), command
    elif name == "torchrun":
        chosen, *rest = words[words.index("lookalike") + 1 :]
        parse(read_command(chosen, rest), rest)
    elif name == "lookalike" and not {"--help", "--version"} & set(words):
        chosen, *rest = words
        parse(read_command(chosen, rest), rest)


def run_command(command: str) -> None:
    name, *words = shlex.split(command, comments=True)
    if name == "lookalike":
        assert main(words) == 0, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_works(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks_of(page):
        where = f"{page.relative_to(ROOT)}:{block.line}"
        if block.language == "python":
            code = compile("\n" * (block.line - 1) + block.content, where, "exec")
            if block.rest:
                Path(block.rest).write_text(block.content)
                monkeypatch.delitem(sys.modules, Path(block.rest).stem, raising=False)
            else:
                exec(code, namespace)
        elif block.language == "console":
            commands = commands_of(block)
            assert commands, f"{where}: a console block without a line that begins with '$ '"
            for command in commands:
                check_command(command)
                if block.rest == "run":
                    run_command(command)
        else:
            assert block.language in SHOWN, f"{where}: nobody checks {block.language!r}"
