"""What a command takes: the arguments of its function, of the library's, and of what was chosen."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lookalike import registry
from lookalike.errors import UsageError
from lookalike.options import Option
from lookalike.registry import Location

_HERE: Final = Path(__file__).parent
_PACKAGE: Final = __package__


@dataclass(frozen=True)
class Group:
    """Options with a name and a dot before them: `--method.temperature` is the group "method".

    They are arguments of what the plain option of the same name chooses, and reach the command's
    function together, as the mapping NAME_arguments.

    name: as before the dot.
    room: where the choice is made; "" if there is none.
    entry: what takes the arguments whatever was chosen; "" if that is the choice itself.
    noun: what the choice is called; "" if that is what its room calls it.
    """

    name: str
    room: str
    entry: str = ""
    noun: str = ""


@dataclass(frozen=True)
class Section:
    """Options that help shows under one heading.

    group: what stands before their dot; "" for plain options.
    heading: what they are options of.
    options: by name, with the group and its dot.
    endless: whether names that are not listed are taken as well, as they are.
    settled: whether their defaults are what a run will use, unless told otherwise.
    """

    group: str
    heading: str
    options: Mapping[str, Option]
    endless: bool = False
    settled: bool = True


@dataclass(frozen=True)
class Command:
    """A command, ready to parse its words.

    name: as typed.
    title: what it does, on one line.
    call: the function behind it; returns an exit code, or none for 0.
    operands: what it takes by position.
    sections: its plain options first, then one section a group.
    """

    name: str
    title: str
    call: Callable[..., int | None]
    operands: tuple[Option, ...]
    sections: tuple[Section, ...]

    @property
    def options(self) -> dict[str, Option]:
        """Every option by name, with its group and dot."""
        return {name: each for section in self.sections for name, each in section.options.items()}

    @property
    def groups(self) -> dict[str, Section]:
        """The sections of groups, by group."""
        return {section.group: section for section in self.sections if section.group}

    @property
    def more(self) -> str:
        """Where everything the command takes is told."""
        return f"(all: lookalike {self.name} --help)"


def title(name: str) -> str:
    """Return what a command does, on one line, without importing it."""
    return registry.title(Location(_HERE / f"{_stem(name)}.py", None, ""))


def read_command(name: str, words: Sequence[str]) -> Command:
    """Return a command with the options that it has once these words have made their choices.

    A command file defines a function of its own name, the command's with underscores. Its `LIBRARY`
    may name a library function whose keyword arguments are options as well, and its `GROUPS` what
    comes with a dot.
    """
    stem = _stem(name)
    module = importlib.import_module(f"{_PACKAGE}.{stem}")
    location = Location(_HERE / f"{stem}.py", module.__name__, stem)
    plain = {}
    if library := getattr(module, "LIBRARY", ""):
        room, _, attribute = library.partition(":")
        plain = {each.name: each for each in registry.options(registry.locate(room, attribute))}
    plain |= {option.name: option for option in registry.options(location)}
    sections = [Section("", "Options", plain)]
    for group in getattr(module, "GROUPS", ()):
        sections.append(_section(group, _chosen(plain[group.name], words)))
    return Command(
        name, title(name), module.__dict__[stem], registry.operands(location), tuple(sections)
    )


def _stem(name: str) -> str:
    """Return the name of a command's file and function: few_labels of few-labels."""
    return name.replace("-", "_")


def _chosen(option: Option, words: Sequence[str]) -> str | None:
    """Return what the words give for an option, else its default, else None."""
    chosen = option.default if isinstance(option.default, str) else None
    for word, following in zip(words, [*words[1:], ""], strict=False):
        name, joined, value = word.removeprefix("--").partition("=")
        if name.replace("-", "_") == option.name and (joined or word.startswith("--")):
            chosen = value if joined else following
    return chosen


def _section(group: Group, chosen: str | None) -> Section:
    """Return a group's options: those of its choice, or of all there is to choose from."""
    if group.entry:
        locations = [registry.locate(group.room, group.entry)]
        heading = f"Fields of every {group.entry} in the plan"
    else:
        known = [chosen] if chosen else registry.names(group.room)
        locations = [_locate(group.room, name) for name in known]
        noun = group.noun or registry.noun(group.room)
        heading = f"Of the {noun}, {chosen or 'whichever is chosen'}"
    options: dict[str, Option] = {}
    for location in locations:
        for option in registry.options(location):
            options.setdefault(f"{group.name}.{option.name}", option)
    endless = any(map(registry.takes_any, locations))
    return Section(group.name, heading, options, endless, chosen is not None and not group.entry)


def _locate(room: str, name: str) -> Location:
    """Return where a choice is defined; what is no backbone of ours may be one of timm's."""
    try:
        return registry.locate(room, name)
    except UsageError:
        if room == "backbones" and ":" not in name:
            return registry.locate(room, "timm_model")
        raise
