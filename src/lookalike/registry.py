"""The folder is the registry: what a room offers and takes, read from source, imported on use."""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib
import importlib.machinery
import importlib.util
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from lookalike import _source
from lookalike.errors import UsageError

_PACKAGE: Final = Path(__file__).parent
_NOT_ENTRIES: Final = {"base", "build"}


@dataclass(frozen=True)
class _Room:
    """What a room holds.

    noun: what one of its entries is called.
    makes: the class that an entry is or returns; "" if that does not matter.
    given: the positional arguments, those with defaults aside, that an entry gets from its caller.
    constant: what a file defines that is an entry as a whole; "" where definitions are entries.
    """

    noun: str
    makes: str = ""
    given: tuple[str, ...] = ()
    constant: str = ""


_ROOMS: Final = {
    "methods": _Room("method", makes="Method", given=("backbone",)),
    "backbones": _Room("backbone", makes="Backbone"),
    "training.optim": _Room("optimizer", given=("module",)),
    "papers": _Room("paper", constant="CLAIMS"),
}


class Required:
    """Stands in for the default of an option that has none."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = Required()


@dataclass(frozen=True)
class Location:
    """Where something is defined.

    path: its source file.
    module: the dotted name to import it by; None for a file outside any package.
    attribute: its name in that file; "" for the file as a whole.
    """

    path: Path
    module: str | None
    attribute: str


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
    """

    name: str
    kind: type
    default: Any = REQUIRED
    choices: tuple[str, ...] | None = None
    help: str = ""
    optional: bool = False
    many: int | None = None

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
        return f"{phrase}, or none" if self.optional else phrase

    def parse(self, text: str) -> Any:
        """Return the value that some text stands for.

        Raises:
            ValueError: it stands for none; the message says what is wanted and what came.
        """
        if self.optional and text.lower() == "none":
            return None
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
        value = _KINDS[self.kind].parse(text.strip())
        if self.choices and str(value) not in self.choices:
            raise ValueError(text)
        return value


def names(room: str) -> list[str]:
    """Return the names of what a room offers, such as every method of "methods"."""
    return list(_entries(room))


def locate(room: str, name: str) -> Location:
    """Return where an entry of a room is defined.

    Args:
        room: a folder or file of this package, with dots: "methods", "training.optim".
        name: an entry's name, with or without its underscores and capitals; or somebody's own
            "file.py:Name" or "package.module:Name".

    Raises:
        UsageError: there is no such entry, file, or name in the file.
    """
    if ":" in name:
        return _locate_own(name)
    entries = _entries(room)
    public = {location.attribute: location for location in _public(room)}
    for known, location in (*entries.items(), *public.items()):
        if _plain(known) == _plain(name):
            return location
    near, known_names = did_you_mean(name, entries), ", ".join(entries)
    raise UsageError(f"{name!r} is no {noun(room)}.{near}  (all: {known_names})")


def noun(room: str) -> str:
    """Return what an entry of a room is called, such as "method"."""
    return _ROOMS[room].noun if room in _ROOMS else f"name in {room}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean X?" for the nearest of the known names, or "" where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""


def options(location: Location) -> tuple[Option, ...]:
    """Return the keyword-only arguments of a function or class that a command line can fill.

    Those are the ones annotated int, float, bool, str, Path, a Literal, a tuple of one of these,
    or any of these or None.
    """
    return tuple(_options(location, positional=False))


def operands(location: Location) -> tuple[Option, ...]:
    """Return the positional arguments of a function or class that a command line can fill."""
    return tuple(_options(location, positional=True))


def takes_any(location: Location) -> bool:
    """Return whether a function or class takes keyword arguments beyond those it names."""
    return _source.takes_any(location.path, location.attribute)


def title(location: Location) -> str:
    """Return the first line of a file's docstring, or "" if it has none."""
    return _source.title(location.path)


def load(location: Location) -> Any:
    """Import a file, and return what it defines by the location's name, or its module.

    Raises:
        UsageError: the file is somebody's own and fails to import; the message says why.
    """
    module = _import(location)
    return getattr(module, location.attribute) if location.attribute else module


# What a room offers


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _files(room: str) -> Iterator[Location]:
    """Yield the files of a room that may hold entries, in alphabetical order."""
    path = _PACKAGE.joinpath(*room.split("."))
    if not path.is_dir():
        yield Location(path.with_suffix(".py"), f"{_PACKAGE.name}.{room}", "")
        return
    for file in sorted(path.glob("*.py")):
        if not file.stem.startswith("_") and file.stem not in _NOT_ENTRIES:
            yield Location(file, f"{_PACKAGE.name}.{room}.{file.stem}", "")


def _public(room: str) -> Iterator[Location]:
    """Yield every public class and function of a room's files."""
    for file in _files(room):
        for node in _source.definitions(file.path):
            if not node.name.startswith("_"):
                yield Location(file.path, file.module, node.name)


def _entries(room: str) -> dict[str, Location]:
    """Return what a room offers, by name: the file's own name for what is called like its file."""
    kind = _ROOMS.get(room)
    if kind and kind.constant:
        files = [file for file in _files(room) if _source.defines(file.path, kind.constant)]
        return {file.path.stem: file for file in files}
    entries = {}
    for location in _public(room):
        if kind is None or _is_entry(location, kind):
            stem, attribute = location.path.stem, location.attribute
            entries[stem if _plain(stem) == _plain(attribute) else attribute] = location
    return entries


def _is_entry(location: Location, room: _Room) -> bool:
    """Return whether this is, or returns, what the room holds, from what its caller supplies."""
    made = _source.result(location.path, location.attribute)
    if room.makes and room.makes not in _source.ancestry(location.path, made):
        return False
    arguments = _source.arguments(location.path, location.attribute)
    return room.given == tuple(a.name for a in arguments if a.positional and a.default is None)


def _locate_own(name: str) -> Location:
    """Return where "file.py:Name" or "package.module:Name" is defined."""
    origin, _, attribute = name.rpartition(":")
    if origin.endswith(".py"):
        path, module = Path(origin).expanduser(), None
    else:
        path, module = _find_module(origin), origin
    if not path.is_file():
        raise UsageError(f"{name!r}: there is no file {path}")
    try:
        known = [node.name for node in _source.definitions(path)]
    except SyntaxError as error:
        raise UsageError(f"{name!r}: {path} line {error.lineno}: {error.msg}") from None
    if attribute not in known:
        raise UsageError(
            f"{path} defines no {attribute!r}.{did_you_mean(attribute, known)}"
            f"  (it defines: {', '.join(known) or 'nothing'})"
        )
    return Location(path, module, attribute)


def _find_module(name: str) -> Path:
    """Return a module's file without importing its packages."""
    places: list[str] | None = None
    spec = None
    for depth in range(1, name.count(".") + 2):
        part = ".".join(name.split(".")[:depth])
        spec = importlib.machinery.PathFinder.find_spec(part, places)
        if spec is None:
            break
        places = list(spec.submodule_search_locations or [])
    if spec is None or spec.origin is None:
        raise UsageError(
            f"there is no module {name!r}  (a file of your own is written path/to/mine.py:Name)"
        )
    return Path(spec.origin)


def _import(location: Location) -> ModuleType:
    if location.module and location.module.split(".")[0] == _PACKAGE.name:
        return importlib.import_module(location.module)
    try:
        if location.module:
            return importlib.import_module(location.module)
        return _import_file(location.path)
    except Exception as error:
        raise UsageError(f"{location.path} fails to import: {error!r}") from error


def _import_file(path: Path) -> ModuleType:
    """Import a file outside any package once, under a name that no other file shares."""
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    name = f"_{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


# What an entry takes


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


def _options(location: Location, *, positional: bool) -> Iterator[Option]:
    for argument in _source.arguments(location.path, location.attribute):
        if argument.positional != positional or argument.annotation is None:
            continue
        shape = _shape(location.path, argument.annotation)
        if shape is not None:
            default = _default(location.path, argument.default)
            yield Option(argument.name, default=default, help=argument.help, **shape)


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
    """Return the shape of the first member that has one; None among them makes it optional."""
    shapes = [shape for shape in (_shape(path, member) for member in members) if shape]
    optional = any(ast.unparse(member) == "None" for member in members)
    return shapes[0] | {"optional": optional} if shapes else None
