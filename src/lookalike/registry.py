"""The folder is the registry: what a room offers and takes, read from source, imported on use.

Here, and nowhere else, a name becomes code; so here it is asked whose word that is. A name that was
typed or passed by the caller is his. One that stands in a file belongs to whoever wrote the file:
what reads names from a file looks them up inside `read_from`, where nobody's own code is found
unless the caller trusts the file, or has named that very code himself.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from lookalike import _source
from lookalike.errors import UsageError
from lookalike.options import Option, read_options

_PACKAGE: Final = Path(__file__).parent
_NOT_ENTRIES: Final = {"base", "build"}


@dataclass(frozen=True)
class _Room:
    """What a room holds.

    noun: what one of its entries is called.
    makes: the class that an entry is or returns; "" if that does not matter.
    given: the positional arguments, those with defaults aside, that an entry gets from its caller.
    constant: what a file defines that is an entry as a whole; "" where definitions are entries.
    suffix: what ends every entry's name and need not be typed.
    """

    noun: str
    makes: str = ""
    given: tuple[str, ...] = ()
    constant: str = ""
    suffix: str = ""


_ROOMS: Final = {
    "methods": _Room("method", makes="Method", given=("backbone",)),
    "solved": _Room("solved encoder", makes="Solved"),
    "backbones": _Room("backbone", makes="Backbone"),
    "losses": _Room("loss of labelled images", given=("embeddings", "labels"), suffix="_loss"),
    "training.optim": _Room("optimizer", given=("module",)),
    "papers": _Room("paper", constant="CLAIMS"),
}

_BESIDE: Final = {"methods": ("solved",)}
"""Rooms that are searched as well: a name on the command line does not say how it learns."""


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
        UsageError: there is no such entry, file, or name in the file; or it is somebody's own, and
            stands in a file whose code is not trusted.
    """
    if ":" in name:
        _refuse_untrusted(name)
        return _locate_own(name)
    rooms = (room, *_BESIDE.get(room, ()))
    entries = {known: place for each in rooms for known, place in _entries(each).items()}
    public = {place.attribute: place for each in rooms for place in _public(each)}
    for known, location in (*entries.items(), *public.items()):
        if _plain(known) == _plain(name):
            return location
    near, known_names = did_you_mean(name, entries), ", ".join(entries)
    raise UsageError(f"{name!r} is no {noun(room)}.{near}  (all: {known_names})")


@contextmanager
def read_from(place: str | Path, *, trust_code: bool) -> Iterator[None]:
    """Look up names that stand in a file, and that the caller may never have seen.

    Args:
        place: the file or folder that they were read from.
        trust_code: whether it may name code outside this package. The code is then run, so say it
            only on the word of the person who named the place.
    """
    token = _reading.set(None if trust_code else Path(place))
    try:
        yield
    finally:
        _reading.reset(token)


@contextmanager
def given(*values: object) -> Iterator[None]:
    """Trust the names that the caller gave, also where a file that is read meanwhile repeats them.

    Args:
        values: what was given: names, and tuples and mappings of values; what is none is ignored.
    """
    token = _given.set(_given.get() | frozenset(_texts(values)))
    try:
        yield
    finally:
        _given.reset(token)


def noun(room: str) -> str:
    """Return what an entry of a room is called, such as "method"."""
    return _ROOMS[room].noun if room in _ROOMS else f"name in {room}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean X?" for the nearest of the known names, or "" where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""


def options(location: Location) -> tuple[Option, ...]:
    """Return the keyword-only arguments of a function or class that a command line can fill."""
    return tuple(read_options(location.path, location.attribute, positional=False))


def operands(location: Location) -> tuple[Option, ...]:
    """Return the positional arguments of a function or class that a command line can fill."""
    return tuple(read_options(location.path, location.attribute, positional=True))


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


# Whose word it is


_reading: ContextVar[Path | None] = ContextVar("reading", default=None)
_given: ContextVar[frozenset[str]] = ContextVar("given", default=frozenset())


def _refuse_untrusted(name: str) -> None:
    place = _reading.get()
    if place is not None and name not in _given.get():
        raise UsageError(
            f"{place} needs the code of {name}, which loading it would run\n"
            "  fix: if you trust it, add --trust-code (in Python, trust_code=True)"
        )


def _texts(value: object) -> Iterator[str]:
    """Yield every text in a value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _texts(part)


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
            stem = location.path.stem
            name = location.attribute.removesuffix(kind.suffix if kind else "")
            entries[stem if _plain(stem) == _plain(name) else name] = location
    return entries


def _is_entry(location: Location, room: _Room) -> bool:
    """Return whether this is, or returns, what the room holds, from what its caller supplies."""
    if not location.attribute.endswith(room.suffix):
        return False
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
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{path} is not Python: {error}") from None
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
