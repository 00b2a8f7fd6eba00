"""Help, written from what the signatures say; it imports nothing heavy, so it comes at once."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import lookalike
from lookalike.cli.command import Command, Section, title
from lookalike.cli.parse import flag
from lookalike.cli.terminal import entry, paint, width
from lookalike.options import REQUIRED, Option

_METAVARS: Final = {int: "N", float: "X", str: "NAME", Path: "PATH"}

_WIDEST = 50
"""Letters of choices that stand beside an option; longer ones are told in its help."""


def overview(groups: Mapping[str, Sequence[str]]) -> str:
    """Return the help of `lookalike` itself: every command on one line, under its heading."""
    lines = [
        f"{paint('lookalike', 'bold')} {lookalike.__version__}  "
        "learns which images look alike, and puts that to use",
        "",
        "  lookalike COMMAND --help tells all about a command",
    ]
    for heading, commands in groups.items():
        lines += ["", paint(heading, "bold")]
        lines += [f"  {paint(name.ljust(10), 'cyan')} {title(name)}" for name in commands]
    lines += [
        "",
        paint("Start here", "bold"),
        "  lookalike train hands --out runs/hands     built-in photos, minutes on two cores",
        "  lookalike train photos/ --out runs/photos  your own folder, with or without labels",
        "",
        paint("Everywhere: --debug shows the traceback of an error; --version", "dim"),
    ]
    return "\n".join(lines)


def manual(command: Command) -> str:
    """Return the help of a command: its operands, then its options, section by section."""
    operands = " ".join(_operand(each) for each in command.operands)
    lines = [paint(f"lookalike {command.name} {operands} [options]".replace("  ", " "), "bold")]
    lines += ["", *textwrap.wrap(command.title, width())]
    if command.operands:
        lines.append("")
        for each in command.operands:
            lines += entry(_operand(each), each.help.removesuffix("."))
    for section in command.sections:
        lines += ["", *_section(section)]
    lines += ["", paint("NAME=VALUE is the same as --NAME VALUE; - and _ are the same.", "dim")]
    return "\n".join(lines)


def _section(section: Section) -> Iterator[str]:
    yield paint(section.heading, "bold")
    for name, option in section.options.items():
        shown = flag(name)
        if option.default is True:  # what is said is the one thing left to say
            shown = shown.replace("--", "--[no-]", 1)
        text = _explanation(option, default=section.settled, grouped=bool(section.group))
        yield from entry(f"{shown} {_metavar(option)}".rstrip(), text)
    if section.endless:
        yield from entry(f"--{section.group}.NAME VALUE", "any other argument that it takes")


def _operand(option: Option) -> str:
    name = option.name.upper() + "..." * (option.many == 0)
    return name if option.default is REQUIRED else f"[{name}]"


def _metavar(option: Option) -> str:
    if option.choices:
        every = "|".join(option.choices)
        return every if len(every) <= _WIDEST else "|".join([*option.choices[:3], "..."])
    if option.kind is bool and option.many is None:
        return ""
    one = "|".join([_METAVARS.get(option.kind, "VALUE"), *option.words])
    return one if option.many is None else ",".join([one] * option.many) or f"{one},..."


def _explanation(option: Option, *, default: bool = True, grouped: bool = False) -> str:
    """Return an option's help with its default, where that says something."""
    text = option.help.removesuffix(".")
    if option.choices and len("|".join(option.choices)) > _WIDEST:
        text = f"{text}: {', '.join(option.choices)}"
    if option.default is REQUIRED:
        return f"{text} (as the data has it)" if grouped else f"{text} (required)"
    if not default or option.default is None or isinstance(option.default, bool):
        return text
    value = option.default
    shown = ",".join(map(_short, value)) if isinstance(value, tuple) else _short(value)
    return f"{text} [{shown}]"


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
