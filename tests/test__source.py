"""Reading Python without running it, against Python."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from lookalike import _source

CODE = '''"""First line.

More.
"""
import no_such_package
from lookalike.data.decode import MAX_PIXELS
from lookalike.errors import UsageError as Refusal

HALF = 1 / 2
NAMED: float = HALF * 3


class Odd(Refusal):
    ...


def make() -> "Odd":
    ...
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.py"
    path.write_text(CODE)
    return path


def expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def test_reads_the_first_line(file: Path) -> None:
    assert _source.title(file) == "First line."


def test_lists_definitions_in_order(file: Path) -> None:
    assert [node.name for node in _source.definitions(file)] == ["Odd", "make"]


def test_sees_a_change_of_the_file(file: Path) -> None:
    assert _source.definitions(file)
    file.write_text("NOTHING = 1")
    assert not _source.definitions(file)


def test_follows_imports_of_this_package_to_a_class_and_its_bases(file: Path) -> None:
    assert list(_source.ancestry(file, "Odd")) == [
        "Odd",
        "Refusal",
        "LookalikeError",
        "Exception",
        "ValueError",
    ]


def test_knows_what_a_call_makes(file: Path) -> None:
    assert _source.result(file, "make") == "Odd"
    assert _source.result(file, "Odd") == "Odd"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-1.5", -1.5),
        ("NAMED", 1.5),
        ("(HALF, 2**3)", (0.5, 8)),
        ("MAX_PIXELS", 50_000_000),
        ("Path('a/b')", Path("a/b")),
        ("{'a': None}", {"a": None}),
    ],
)
def test_works_out_constants(file: Path, text: str, value: object) -> None:
    assert _source.constant(file, expression(text)) == value


@pytest.mark.parametrize("text", ["call()", "no_such_name", "HALF if HALF else 1"])
def test_says_when_only_running_could_tell(file: Path, text: str) -> None:
    with pytest.raises(ValueError, match="malformed node"):
        _source.constant(file, expression(text))


@pytest.mark.parametrize(
    ("text", "name"),
    [("C", "C"), ("a.b.C", "C"), ("C[int]", "C"), ("C(1)", "C"), ("'C'", "C"), ("1", "")],
)
def test_takes_the_last_name(text: str, name: str) -> None:
    assert _source.last_name(expression(text)) == name
