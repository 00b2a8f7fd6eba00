"""What is read from a signature's source, against what was written there."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookalike.options import REQUIRED, Option, read_options

SHELF = '''"""A shelf of things with arguments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lookalike_has_no_such_import  # reading must not import

HALF = 1 / 2
Mood = Literal["calm", "wild"]


def everything(
    source: str | Path,
    second=None,
    *,
    whole: int = 3,
    real: float = HALF,
    truth: bool = False,
    text: str = "a",
    place: Path = Path("runs"),
    mood: Mood = "calm",
    spell: Literal[1, 2] = 1,
    maybe: int | None = None,
    quoted: "float | None" = None,
    pair: tuple[float, float] = (3 / 4, -1.0),
    several: tuple[int, ...] = (),
    soft: float | Literal["soft", "hard"] = "soft",
    needed: int,
    unknowable: float = some_call(),
    mapping: dict[str, Any] | None = None,
    untyped=1,
    **rest: Any,
) -> None:
    """Do it.

    Args:
        source: where from.
        whole: a count
            on two lines.
        real: a share (default: half).
    """


class Parent:
    """A parent.

    Args:
        size: how large.
    """

    def __init__(self, backbone: object, *, size: int = 1) -> None:
        self.size = size


class Child(Parent):
    """Takes what its parent takes."""


@dataclass(frozen=True)
class Fields:
    """Some fields.

    Attributes:
        flip: probability.
    """

    flip: float = 0.5
'''


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Return a file that reading must understand and importing would fail on."""
    path = tmp_path / "shelf.py"
    path.write_text(SHELF)
    return path


def options_of(path: Path, name: str) -> dict[str, Option]:
    return {option.name: option for option in read_options(path, name, positional=False)}


@pytest.mark.parametrize(
    ("name", "kind", "default", "optional", "many", "choices"),
    [
        ("whole", int, 3, False, None, None),
        ("real", float, 0.5, False, None, None),
        ("truth", bool, False, False, None, None),
        ("text", str, "a", False, None, None),
        ("place", Path, Path("runs"), False, None, None),
        ("mood", str, "calm", False, None, ("calm", "wild")),
        ("spell", int, 1, False, None, ("1", "2")),
        ("maybe", int, None, True, None, None),
        ("quoted", float, None, True, None, None),
        ("pair", float, (0.75, -1.0), False, 2, None),
        ("several", int, (), False, 0, None),
        ("soft", float, "soft", False, None, None),
        ("needed", int, REQUIRED, False, None, None),
        ("unknowable", float, "some_call()", False, None, None),
    ],
)
def test_reads_an_annotation(
    shelf: Path,
    name: str,
    kind: type,
    default: object,
    optional: bool,
    many: int | None,
    choices: tuple[str, ...] | None,
) -> None:
    option = options_of(shelf, "everything")[name]
    assert (option.kind, option.default, option.optional, option.many, option.choices) == (
        kind,
        default,
        optional,
        many,
        choices,
    )


def test_words_may_stand_in_place_of_a_number(shelf: Path) -> None:
    assert options_of(shelf, "everything")["soft"].words == ("soft", "hard")


def test_leaves_out_what_no_command_line_can_fill(shelf: Path) -> None:
    assert not {"mapping", "untyped", "rest", "source"} & options_of(shelf, "everything").keys()


def test_reads_help_over_several_lines(shelf: Path) -> None:
    options = options_of(shelf, "everything")
    assert options["whole"].help == "a count on two lines."
    assert options["real"].help == "a share (default: half)."
    assert options["text"].help == ""


def test_operands_are_what_is_given_by_position(shelf: Path) -> None:
    (source,) = read_options(shelf, "everything", positional=True)
    assert (source.name, source.kind, source.default) == ("source", Path, REQUIRED)


def test_a_class_takes_what_its_init_its_base_or_its_fields_say(shelf: Path) -> None:
    assert options_of(shelf, "Parent")["size"].default == 1
    assert options_of(shelf, "Child")["size"].help == "how large."
    assert options_of(shelf, "Fields")["flip"].default == 0.5


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        (Option("n", int), "12", 12),
        (Option("x", float), "1e-3", 0.001),
        (Option("x", float, optional=True), "none", None),
        (Option("t", bool), "yes", True),
        (Option("p", float, many=2), "0.2,1", (0.2, 1.0)),
        (Option("p", float, many=2), "(0.2, 1)", (0.2, 1.0)),
        (Option("s", str, many=0), "a,b,c", ("a", "b", "c")),
        (Option("c", str, choices=("a", "b")), "b", "b"),
        (Option("f", Path), "a/b", Path("a/b")),
        (Option("w", float, words=("soft",)), "soft", "soft"),
        (Option("w", float, words=("soft",)), "0.2", 0.2),
    ],
)
def test_parses_a_value(option: Option, text: str, value: object) -> None:
    assert option.parse(text) == value


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        (Option("n", int), "1.5", "wants a whole number, got '1.5'"),
        (Option("x", float), "nan", "wants a number, got 'nan'"),
        (Option("t", bool), "perhaps", "wants true or false, got 'perhaps'"),
        (Option("p", float, many=2), "1,2,3", "wants 2 numbers with commas between them"),
        (Option("c", str, choices=("a", "b")), "c", "wants one of a, b, got 'c'"),
        (Option("n", int, optional=True), "x", "wants a whole number, or none, got 'x'"),
        (Option("w", float, words=("soft",)), "sfot", "wants a number, or soft, got 'sfot'"),
    ],
)
def test_refuses_a_value_saying_what_it_wants(option: Option, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        option.parse(text)
