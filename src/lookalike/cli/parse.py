"""The words of a command line to the arguments of a command's function."""

from __future__ import annotations

import ast
import keyword
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lookalike.cli.command import Command
from lookalike.errors import UsageError
from lookalike.options import REQUIRED, Option
from lookalike.registry import did_you_mean


def flag(name: str) -> str:
    """Return an option as it is typed: "batch_size" is --batch-size, "from_" is --from."""
    return "--" + name.removesuffix("_").replace("_", "-")


def parse(command: Command, words: Iterable[str]) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and the keyword arguments for a command's function.

    `--batch-size 8`, `--batch_size=8` and `batch_size=8` are the same, and `-k 5` is `--k 5`;
    `--no-download` takes back what `--download` says. Options of a group come together:
    `--method.temperature 0.2` is `method_arguments={"temperature": 0.2}`. What was not given is
    left out.

    Raises:
        UsageError: an option or operand is unknown, missing, without a value or of a wrong one.
    """
    texts: list[str] = []
    given: dict[str, Any] = {}
    rest = deque(words)
    while rest:
        word = rest.popleft()
        if word == "--":  # all that follows is operands
            texts += rest
            break
        if len(word) == 2 and word[0] == "-" and word[1] in command.options:
            word = f"-{word}"  # -k is --k
        name, joined, text = word.removeprefix("--").partition("=")
        name = name.replace("-", "_") + "_" * keyword.iskeyword(name)
        if word.startswith("--") or (joined and _is_option(command, name)):
            denied = _is_denial(command, name)
            name = name.removeprefix("no_") if denied else name
            option = _find(command, name)
            if denied:
                text = "false"
            elif not joined:
                text = _take_value(option, name, rest)
            given[name] = _value(option, flag(name), text)
        elif word.startswith("-") and word != "-":
            raise UsageError(f"{word} is not an option.  {command.more}")
        else:
            texts.append(word)
    _require_options(command, given)
    return _operands(command, texts), _grouped(command, given)


def _is_option(command: Command, name: str) -> bool:
    """Return whether NAME=VALUE, without dashes, sets an option and does not name a file."""
    return name in command.options or name.partition(".")[0] in command.groups


def _is_denial(command: Command, name: str) -> bool:
    denied = command.options.get(name.removeprefix("no_"))
    return name not in command.options and denied is not None and _is_switch(denied)


def _is_switch(option: Option) -> bool:
    return option.kind is bool and option.many is None


def _find(command: Command, name: str) -> Option:
    options = command.options
    if name in options:
        return options[name]
    group, _, argument = name.partition(".")
    if argument and group in command.groups and command.groups[group].endless:
        return Option(argument, kind=object)
    near = did_you_mean(flag(name), map(flag, options))
    raise UsageError(f"{flag(name)} is not an option.{near}  {command.more}")


def _take_value(option: Option, name: str, rest: deque[str]) -> str:
    """Return the text that follows an option, taken off the rest; a switch may stand alone."""
    if _is_switch(option) and not (rest and rest[0].lower() in ("true", "false")):
        return "true"
    if not rest or rest[0].startswith("--"):
        wanted = "a value" if option.kind is object else option.wanted
        raise UsageError(f"{flag(name)} wants {wanted}, got nothing")
    return rest.popleft()


def _value(option: Option, shown: str, text: str) -> Any:
    if option.kind is object:
        return _literal(text)
    try:
        return option.parse(text)
    except ValueError as problem:
        raise UsageError(f"{shown} {problem}") from None


def _literal(text: str) -> Any:
    """Return the number, truth or tuple that a text writes, else the text."""
    try:
        return ast.literal_eval({"true": "True", "false": "False", "none": "None"}.get(text, text))
    except (ValueError, SyntaxError):
        return text


def _require_options(command: Command, given: Mapping[str, Any]) -> None:
    """Refuse a missing option; but what a method needs the data may tell."""
    for name, option in command.options.items():
        if option.default is REQUIRED and "." not in name and name not in given:
            raise UsageError(f"{flag(name)} is missing: {option.help}  {command.more}")


def _operands(command: Command, texts: Sequence[str]) -> list[Any]:
    operands = command.operands
    several = bool(operands) and operands[-1].many == 0
    if len(texts) > len(operands) and not several:
        count = len(operands)
        raise UsageError(
            f"{texts[count]!r} is one argument too many: lookalike {command.name} takes "
            f"{' '.join(each.name.upper() for each in operands) or 'only options'}.  {command.more}"
        )
    for missing in operands[len(texts) :]:
        if missing.default is REQUIRED:
            raise UsageError(f"{missing.name.upper()} is missing: {missing.help}  {command.more}")
    single = operands[:-1] if several else operands
    pairs = zip(single, texts, strict=False)
    values = [_value(operand, operand.name.upper(), text) for operand, text in pairs]
    rest = texts[len(single) :]
    if several and rest:  # one word each: a name may have a comma in it
        each = replace(operands[-1], many=None)
        values.append(tuple(_value(each, each.name.upper(), text) for text in rest))
    return values


def _grouped(command: Command, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given options with those of a group in one mapping, NAME_arguments."""
    arguments: dict[str, Any] = {}
    for name, value in given.items():
        group, dot, argument = name.partition(".")
        if dot:
            arguments.setdefault(f"{group}_arguments", {})[argument] = value
        else:
            arguments[name] = value
    return arguments
