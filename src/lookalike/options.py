"""What a command line can fill: the arguments of a signature, with their kinds, from its source."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lookalike import _source


class Required:
    """Stands in for the default of an option that has none."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = Required()


@dataclass(frozen=True)
class Option:
    """An argument that a command line can fill.

    name: as in the signature.
    kind: of one value.
    default: `REQUIRED` if it has none; its source where only running the code could tell it.
    choices: the only values allowed, as text; None where any of its kind will do.
    help: what the docstring says of it.
    optional: whether None, written "none", is a value too.
    many: None for one value; else how many it takes, 0 for any number.
    words: texts that are values too, as they are, where the kind is a number.
    """

    name: str
    kind: type
    default: Any = REQUIRED
    choices: tuple[str, ...] | None = None
    help: str = ""
    optional: bool = False
    many: int | None = None
    words: tuple[str, ...] = ()

    @property
    def wanted(self) -> str:
        """What it takes, as a phrase."""
        if self.choices:
            phrase = f"one of {', '.join(self.choices)}"
        elif self.many is None:
            phrase = _KINDS[self.kind].one
        else:
            count = f"{self.many} " if self.many else ""
            phrase = f"{count}{_KINDS[self.kind].several} with commas between them"
        return ", or ".join([phrase, *self.words, *["none"] * self.optional])

    def parse(self, text: str) -> Any:
        """Return the value that some text stands for.

        Raises:
            ValueError: it stands for none; the message says what is wanted and what came.
        """
        if self.optional and text.lower() == "none":
            return None
        if text in self.words:
            return text
        try:
            if self.many is None:
                return self._parse_one(text)
            values = tuple(map(self._parse_one, text.strip("()[] ").rstrip(",").split(",")))
        except ValueError:
            raise ValueError(f"wants {self.wanted}, got {text!r}") from None
        if self.many and len(values) != self.many:
            raise ValueError(f"wants {self.wanted}, got {text!r}")
        return values

    def _parse_one(self, text: str) -> Any:
        if not text.strip():  # an empty path would be the current folder
            raise ValueError(text)
        value = _KINDS[self.kind].parse(text.strip())
        if self.choices and str(value) not in self.choices:
            raise ValueError(text)
        return value


def read_options(path: Path, name: str, *, positional: bool) -> Iterator[Option]:
    """Yield the arguments of a function or class that a command line can fill.

    Those are the ones annotated int, float, bool, str, Path, a Literal, a tuple of one of these,
    or any of these or None.

    Args:
        path: the source file.
        name: what it defines.
        positional: whether to yield what may be given by position, or what may not.
    """
    for argument in _source.arguments(path, name):
        if argument.positional != positional or argument.annotation is None:
            continue
        shape = _shape(path, argument.annotation)
        if shape is not None:
            default = _default(path, argument.default)
            yield Option(argument.name, default=default, help=argument.help, **shape)


@dataclass(frozen=True)
class _Kind:
    """How values of a type are told of, one and several, and read."""

    one: str
    several: str
    parse: Callable[[str], Any]


def _parse_number(text: str) -> float:
    number = float(text)
    if math.isnan(number):
        raise ValueError(text)
    return number


def _parse_truth(text: str) -> bool:
    truths = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in truths:
        raise ValueError(text)
    return truths[text.lower()]


_KINDS: Final[dict[type, _Kind]] = {
    int: _Kind("a whole number", "whole numbers", int),
    float: _Kind("a number", "numbers", _parse_number),
    bool: _Kind("true or false", "times true or false", _parse_truth),
    str: _Kind("a name", "names", str),
    Path: _Kind("a path", "paths", Path),
}
_KIND_NAMES: Final = {kind.__name__: kind for kind in _KINDS}


def _default(path: Path, node: ast.expr | None) -> Any:
    if node is None:
        return REQUIRED
    try:
        return _source.constant(path, node)
    except ValueError:
        return ast.unparse(node)


def _shape(path: Path, annotation: ast.expr) -> dict[str, Any] | None:
    """Return the kind, choices, optional and many of an annotation, or None if it is no option."""
    path, node = _source.expression(path, annotation)
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in _KIND_NAMES:
            return {"kind": _KIND_NAMES[name]}
        case ast.BinOp(op=ast.BitOr()):
            return _union(path, _alternatives(node))
        case ast.Subscript(slice=inner) if _source.last_name(node) == "Literal":
            values = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            constants = [_source.constant(path, value) for value in values]
            return {"kind": type(constants[0]), "choices": tuple(map(str, constants))}
        case ast.Subscript(slice=ast.Tuple(elts=[first, *rest])) if (
            _source.last_name(node) == "tuple"
        ):
            endless = len(rest) == 1 and ast.unparse(rest[0]) == "..."
            element = _shape(path, first)
            return element and element | {"many": 0 if endless else 1 + len(rest)}
    return None


def _alternatives(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [*_alternatives(node.left), *_alternatives(node.right)]
    return [node]


def _union(path: Path, members: list[ast.expr]) -> dict[str, Any] | None:
    """Return the shape of a path among the members, else of the first that has one.

    None among them makes it optional; words that may stand in place of a number go with it.
    """
    shapes = [shape for shape in (_shape(path, member) for member in members) if shape]
    if not shapes:
        return None
    shape = next((shape for shape in shapes if shape["kind"] is Path), shapes[0])
    named = [each["choices"] for each in shapes if each is not shape and "choices" in each]
    if named and "choices" not in shape:
        shape = shape | {"words": named[0]}
    return shape | {"optional": any(ast.unparse(member) == "None" for member in members)}
