"""The notebooks run, and the site shows all of them.

Each script asserts what it states, so running it tests the statements.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted((ROOT / "notebooks").glob("[!_]*.py"))
PAGES = ROOT / "docs/notebooks"


@pytest.fixture(scope="module")
def pages():
    """Return the module that makes pages of notebooks."""
    spec = importlib.util.spec_from_file_location("_pages", ROOT / "notebooks/_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code_of(page: str) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_notebook_runs(script: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_page_is_its_script(pages, script: Path) -> None:
    (pointer,) = (PAGES / f"{script.stem}.md").read_text("utf-8").splitlines()
    page = "\n".join(pages.replace_pointers([pointer]))
    written = script.read_text("utf-8")
    assert ast.dump(ast.parse(code_of(page))) == ast.dump(ast.parse(written))
    assert page.startswith("# ")
    assert "assert " in written
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    said = [line.removeprefix("#").strip() for line in written.splitlines() if line[:2] == "# "]
    for line in said:
        assert line.startswith("%%") or line.replace("../docs/", "../") in prose
    for link in re.findall(r"\]\(([^)]+)\)", prose):
        assert (PAGES / link).is_file(), f"{link}: there is no such page"


def test_every_notebook_has_a_page_and_is_listed() -> None:
    names = [script.stem for script in SCRIPTS]
    assert names == sorted(page.stem for page in PAGES.glob("*.md"))
    index = (ROOT / "docs/notebooks.md").read_text("utf-8")
    assert sorted(re.findall(r"\(notebooks/(\w+)\.md\)", index)) == names


def test_cells_become_sentences_and_blocks(pages) -> None:
    script = "# %% [markdown]\n# # One\n#\n# [a](../docs/a.md)\n\n# %%\nx = 1  # %% no\n\n# %%\n\n"
    wanted = "# One\n\n[a](../a.md)\n\n```python\nx = 1  # %% no\n```\n"
    assert pages.page_of(script) == wanted
    assert pages.replace_pointers(["a", "::: lookalike.load"]) == ["a", "::: lookalike.load"]
