"""The house holds: every room can be entered, imports point down, and light doors stay light."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lookalike
from lookalike import registry

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(lookalike.__path__, "lookalike.")
    if not module.name.endswith("__main__")
)
TORCH_FREE = [
    "lookalike",
    "lookalike.errors",
    "lookalike.registry",
    "lookalike.embeddings",
    "lookalike.data.sources",
    "lookalike.data.decode",
    "lookalike.data.quarantine",
    "lookalike.data.known",
    "lookalike.data.order",
    "lookalike.training.run_folder",
    *[name for name in MODULES if name.startswith(("lookalike.report.", "lookalike.cli."))],
    *[f"lookalike.papers.{name}" for name in registry.names("papers")],
]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_be_imported(name: str) -> None:
    assert importlib.import_module(name).__doc__, f"the first line of {name} says what it is"


def test_light_modules_import_no_torch() -> None:
    script = f"""
import importlib, json, sys
loaded = {{}}
for name in {TORCH_FREE!r}:
    importlib.import_module(name)
    if "torch" in sys.modules:
        print(json.dumps(name))
        break
else:
    print(json.dumps(None))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
    )
    assert json.loads(done.stdout) is None


def test_imports_point_down() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_methods_know_no_other_method_than_their_family() -> None:
    imports = {
        (path.stem, module)
        for path in (ROOT / "src/lookalike/methods").glob("*.py")
        for module in re.findall(r"^from lookalike\.methods\.(\w+)", path.read_text(), re.MULTILINE)
    }
    assert {module for _, module in imports} == {
        "base",
        "distillation",
        "metric",
        "proxies",
        "supervised",
    }


@pytest.mark.parametrize("name", lookalike.__all__)
def test_public_names_are_there(name: str) -> None:
    assert name in dir(lookalike)
    assert getattr(lookalike, name) is not None


def test_there_are_few_public_names() -> None:
    assert len(lookalike.__all__) <= 18


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        _ = lookalike.trian


def test_every_test_file_stands_where_its_source_does() -> None:
    homeless = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        place = path.relative_to(ROOT / "tests")
        source = ROOT / "src/lookalike" / place.with_name(place.name.removeprefix("test_"))
        apart = place.stem.startswith("test_docs") or place.parts[0] in {
            "contract",
            "parity",
            "faults",
            "test_house.py",
        }
        if not apart and not source.exists() and not source.with_suffix("").is_dir():
            homeless.append(str(place))
    assert not homeless
