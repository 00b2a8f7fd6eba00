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
from lookalike.options import REQUIRED
from lookalike.registry import Location


@pytest.mark.parametrize("room", ["methods", "backbones", "training.optim"])
def test_what_it_reads_is_what_python_has(room: str) -> None:
    for name in registry.names(room):
        location = registry.locate(room, name)
        signature = inspect.signature(registry.load(location))
        read = {option.name: option.default for option in registry.options(location)}
        assert read, name
        defaults = {name: each.default for name, each in signature.parameters.items()}
        assert read == {
            argument: REQUIRED
            if defaults[argument] is inspect.Parameter.empty
            else defaults[argument]
            for argument in read
        }


def test_names_are_found_whatever_their_spelling() -> None:
    assert "simclr" in registry.names("methods")
    for spelling in ("simclr", "SimCLR", "sim_clr", "SIM-CLR"):
        assert registry.locate("methods", spelling).attribute == "SimCLR"
    assert registry.locate("backbones", "ResNet-18").attribute == "resnet18"


def test_rooms_offer_their_entries_and_not_what_those_are_made_of() -> None:
    assert set(registry.names("methods")) >= {"simclr"}
    assert set(registry.names("backbones")) == {
        "embedding",
        "patch_dictionary",
        "patches",
        "drlim",
        "exemplar_small",
        "exemplar_medium",
        "exemplar_large",
        "resnet18",
        "resnet34",
        "resnet50",
        "small_conv",
    }
    assert set(registry.names("training.optim")) == {"sgd", "lars", "adamw"}
    assert "simclr" in registry.names("papers")
    assert not {"base", "claims"} & set(registry.names("papers"))


def test_a_wrong_name_gets_the_nearest_right_one() -> None:
    with pytest.raises(UsageError, match=r"'simcrl' is no method\. Did you mean simclr\?"):
        registry.locate("methods", "simcrl")
    with pytest.raises(UsageError, match=r"is no backbone.*all: .*resnet18"):
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
        ("class Mine(:", "mine.py:Mine", "mine.py is not Python: .*line 1"),
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


def test_tells_who_takes_further_arguments(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("def any(*, a=1, **rest): ...\ndef few(*, a=1): ...\n")
    assert registry.takes_any(Location(path, None, "any"))
    assert not registry.takes_any(Location(path, None, "few"))


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
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
    )
    assert json.loads(done.stdout) is False
