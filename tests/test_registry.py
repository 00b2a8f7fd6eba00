"""The registry against Python itself: what it reads from source is what running the source says."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from lookalike import registry
from lookalike.errors import UsageError
from lookalike.registry import REQUIRED, Location, Option

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
    return {option.name: option for option in registry.options(Location(path, None, name))}


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


def test_leaves_out_what_no_command_line_can_fill(shelf: Path) -> None:
    assert not {"mapping", "untyped", "rest", "source"} & options_of(shelf, "everything").keys()


def test_reads_help_over_several_lines(shelf: Path) -> None:
    options = options_of(shelf, "everything")
    assert options["whole"].help == "a count on two lines."
    assert options["real"].help == "a share (default: half)."
    assert options["text"].help == ""


def test_operands_are_what_is_given_by_position(shelf: Path) -> None:
    (source,) = registry.operands(Location(shelf, None, "everything"))
    assert (source.name, source.kind, source.default) == ("source", str, REQUIRED)


def test_a_class_takes_what_its_init_its_base_or_its_fields_say(shelf: Path) -> None:
    assert [o.name for o in registry.options(Location(shelf, None, "Parent"))] == ["size"]
    assert [o.help for o in registry.options(Location(shelf, None, "Child"))] == ["how large."]
    assert options_of(shelf, "Fields")["flip"].default == 0.5


def test_tells_who_takes_further_arguments(shelf: Path) -> None:
    assert registry.takes_any(Location(shelf, None, "everything"))
    assert not registry.takes_any(Location(shelf, None, "Parent"))


@pytest.mark.parametrize("room", ["methods", "backbones", "training.optim"])
def test_what_it_reads_is_what_python_has(room: str) -> None:
    for name in registry.names(room):
        location = registry.locate(room, name)
        signature = inspect.signature(registry.load(location))
        read = {option.name: option.default for option in registry.options(location)}
        assert read, name
        assert read == {argument: signature.parameters[argument].default for argument in read}


def test_names_are_found_whatever_their_spelling() -> None:
    assert "simclr" in registry.names("methods")
    for spelling in ("simclr", "SimCLR", "sim_clr", "SIM-CLR"):
        assert registry.locate("methods", spelling).attribute == "SimCLR"
    assert registry.locate("backbones", "ResNet-18").attribute == "resnet18"


def test_rooms_offer_their_entries_and_not_what_those_are_made_of() -> None:
    assert set(registry.names("methods")) >= {"simclr"}
    assert set(registry.names("backbones")) == {"resnet18", "resnet34", "resnet50", "small_conv"}
    assert set(registry.names("training.optim")) == {"sgd", "lars", "adamw"}
    assert "simclr" in registry.names("papers")
    assert not {"base", "claims"} & set(registry.names("papers"))


def test_a_wrong_name_gets_the_nearest_right_one() -> None:
    with pytest.raises(UsageError, match=r"'simcrl' is no method\. Did you mean simclr\?"):
        registry.locate("methods", "simcrl")
    with pytest.raises(UsageError, match=r"is no backbone.*all: resnet18"):
        registry.locate("backbones", "zzz")


def test_loads_somebodys_own_file_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("class Mine:\n    def __init__(self, backbone, *, size: int = 2): ...\n")
    location = registry.locate("methods", f"{path}:Mine")
    assert [option.name for option in registry.options(location)] == ["size"]
    assert registry.load(location) is registry.load(location)


def test_finds_a_module_without_importing_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "somebodys"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "own.py").write_text("class Own: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.locate("methods", "somebodys.own:Own").path == package / "own.py"


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (None, "mine.py:Mine", "there is no file"),
        ("class Mine: ...", "mine.py:Mien", r"defines no 'Mien'\. Did you mean Mine\?"),
        ("class Mine(:", "mine.py:Mine", "line 1: "),
        (None, "no.such.module:Mine", "there is no module 'no.such.module'"),
    ],
)
def test_says_what_is_wrong_with_somebodys_own(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: str | None,
    name: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("mine.py").write_text(content)
    with pytest.raises(UsageError, match=message):
        registry.locate("methods", name)


def test_a_file_that_fails_to_import_is_named_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("import no_such_package\nclass Mine: ...\n")
    location = registry.locate("methods", f"{path}:Mine")
    with pytest.raises(UsageError, match=r"broken\.py fails to import: .*no_such_package"):
        registry.load(location)


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
    ],
)
def test_refuses_a_value_saying_what_it_wants(option: Option, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        option.parse(text)


def test_reading_every_room_imports_no_torch() -> None:
    script = """
import json, sys
from lookalike import registry
for room in ("methods", "backbones", "training.optim", "papers"):
    for name in registry.names(room):
        location = registry.locate(room, name)
        registry.options(location) if location.attribute else registry.title(location)
print(json.dumps("torch" in sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) is False
