"""Python source read without running it: its definitions, signatures, docstrings and constants."""

from __future__ import annotations

import ast
import functools
import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

Definition = ast.ClassDef | ast.FunctionDef

_PACKAGE: Final = Path(__file__).parent
_OPERATORS: Final = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


@dataclass(frozen=True)
class Argument:
    """An argument of a signature, as its source has it.

    name: as written.
    annotation: None if it has none.
    default: None if it has none.
    positional: whether it may be given by position.
    help: what the docstring says of it, on one line.
    """

    name: str
    annotation: ast.expr | None
    default: ast.expr | None
    positional: bool
    help: str


class _Found(NamedTuple):
    """What a name stands for, and the file that says so."""

    path: Path
    node: Definition | ast.expr


def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a file.

    Raises:
        SyntaxError: the file is not Python.
        OSError: the file cannot be read.
    """
    return _parse(path, path.stat().st_mtime_ns)


@functools.cache
def _parse(path: Path, _modified: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def title(path: Path) -> str:
    """Return the first line of a file's docstring, or "" if it has none."""
    return (ast.get_docstring(parse(path)) or "").partition("\n")[0]


def definitions(path: Path) -> list[Definition]:
    """Return a file's top-level classes and functions, in order."""
    return [node for node in parse(path).body if isinstance(node, Definition)]


def defines(path: Path, name: str) -> bool:
    """Return whether a top-level name is defined in a file, or imported to it from this package."""
    return _resolve(path, name) is not None


def ancestry(path: Path, name: str) -> Iterator[str]:
    """Yield a class's name, then its bases' names and theirs, as far as source of ours goes."""
    yield name
    found = _resolve(path, name)
    if found and isinstance(found.node, ast.ClassDef):
        for base in found.node.bases:
            yield from ancestry(found.path, last_name(base))


def result(path: Path, name: str) -> str:
    """Return the name of the class that calling a function or class makes, "" if it says none."""
    found = _resolve(path, name)
    if found and isinstance(found.node, ast.FunctionDef):
        return last_name(found.node.returns) if found.node.returns else ""
    return name


def arguments(path: Path, name: str) -> list[Argument]:
    """Return the arguments that calling a function or class takes, `self` left out.

    The fields of a dataclass count as keyword-only; a class without `__init__` takes what its
    first base takes, if that is source of ours.
    """
    found = _resolve(path, name)
    if found is None or isinstance(found.node, ast.expr):
        return []
    node, call = found.node, _call(found.node)
    if call is not None:
        return list(_signature(call, node))[call is not node :]
    if isinstance(node, ast.ClassDef):
        if any(last_name(decorator) == "dataclass" for decorator in node.decorator_list):
            return list(_fields(node))
        if node.bases:
            return arguments(found.path, last_name(node.bases[0]))
    return []


def takes_any(path: Path, name: str) -> bool:
    """Return whether a function or class of this file takes further keyword arguments, `**name`."""
    found = _resolve(path, name)
    call = _call(found.node) if found else None
    return call is not None and call.args.kwarg is not None


def constant(path: Path, node: ast.expr) -> Any:
    """Return the value of an expression of literals, arithmetic, paths and our own constants.

    Raises:
        ValueError: only running the code could tell.
    """
    if isinstance(node, ast.Name):
        found = _resolve(path, node.id)
        if found and isinstance(found.node, ast.expr):
            return constant(found.path, found.node)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = constant(path, node.left), constant(path, node.right)
        return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.Call) and last_name(node) == "Path" and len(node.args) == 1:
        return Path(constant(path, node.args[0]))
    if isinstance(node, ast.Tuple):
        return tuple(constant(path, element) for element in node.elts)
    return ast.literal_eval(node)


def expression(path: Path, node: ast.expr) -> tuple[Path, ast.expr]:
    """Return what an annotation stands for, quotes and aliases undone, and the file it is from."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return expression(path, ast.parse(node.value, mode="eval").body)
    if isinstance(node, ast.Name):
        found = _resolve(path, node.id)
        if found and isinstance(found.node, ast.expr):
            return expression(found.path, found.node)
    return path, node


def last_name(node: ast.expr) -> str:
    """Return "C" for C, a.b.C, C[...], C(...) and "C", and "" for what has no name."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=inner) | ast.Call(func=inner):
            return last_name(inner)
        case ast.Constant(value=str(text)):
            return last_name(ast.parse(text, mode="eval").body)
    return ""


def _resolve(path: Path, name: str) -> _Found | None:
    """Return what a top-level name of a file is, through imports from this package, or None."""
    for node in parse(path).body:
        match node:
            case ast.ClassDef() | ast.FunctionDef() if node.name == name:
                return _Found(path, node)
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                return _Found(path, value)
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value) if (
                target == name
            ):
                return _Found(path, value)
            case ast.ImportFrom(module=str(module)) if module.startswith("lookalike."):
                source = _PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py")
                for alias in node.names:
                    if name == (alias.asname or alias.name) and source.exists():
                        return _resolve(source, alias.name)
    return None


def _call(node: Definition | ast.expr) -> ast.FunctionDef | None:
    """Return what runs on a call: the function itself, or a class's own `__init__`."""
    if isinstance(node, ast.FunctionDef):
        return node
    members = node.body if isinstance(node, ast.ClassDef) else []
    return next(
        (m for m in members if isinstance(m, ast.FunctionDef) and m.name == "__init__"), None
    )


def _fields(node: ast.ClassDef) -> Iterator[Argument]:
    helps = _helps(node)
    for member in node.body:
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            name = member.target.id
            yield Argument(name, member.annotation, member.value, False, helps.get(name, ""))


def _signature(node: ast.FunctionDef, documented: Definition) -> Iterator[Argument]:
    """Yield a function's arguments; the docstring of `documented` tells of them."""
    helps = _helps(documented)
    by_position = [*node.args.posonlyargs, *node.args.args]
    required = [None] * (len(by_position) - len(node.args.defaults))
    for each, default in zip(by_position, [*required, *node.args.defaults], strict=True):
        yield Argument(each.arg, each.annotation, default, True, helps.get(each.arg, ""))
    for each, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        yield Argument(each.arg, each.annotation, default, False, helps.get(each.arg, ""))


def _helps(node: Definition) -> dict[str, str]:
    """Return what a docstring's "name: text" lines say, each with its indented continuation."""
    helps: dict[str, str] = {}
    name, margin = "", 0
    for line in (ast.get_docstring(node) or "").splitlines():
        indent = len(line) - len(line.lstrip())
        entry = re.match(r"\s*(\w+): +(\S.*)", line)
        if name and line.strip() and indent > margin:
            helps[name] += " " + line.strip()
        elif entry:
            name, margin = entry[1], indent
            helps[name] = entry[2].strip()
        else:
            name = ""
    return helps
