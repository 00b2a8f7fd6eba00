"""Notebooks as pages of the site: a step of `make docs`, called by Python-Markdown.

A page of docs/notebooks is one line, `::: notebooks/NAME.py`; the site shows that script instead.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def page_of(script: str) -> str:
    """Return a script in percent format as Markdown: its sentences, and its code in blocks."""
    parts = []
    for kind, content in re.findall(r"^# %%(.*)\n((?:(?!# %%).*\n?)*)", script, re.MULTILINE):
        if "[markdown]" in kind:
            text = re.sub(r"^# ?", "", content, flags=re.MULTILINE)
            parts.append(text.replace("](../docs/", "](../").strip())
        elif content.strip():
            parts.append(f"```python\n{content.strip()}\n```")
    return "\n\n".join(parts) + "\n"


def replace_pointers(lines: list[str]) -> list[str]:
    """Return the lines of a page, those of a script in place of the line that names it."""
    shown = []
    for line in lines:
        named = re.fullmatch(r"::: (notebooks/\w+\.py)", line)
        shown += page_of((ROOT / named[1]).read_text("utf-8")).splitlines() if named else [line]
    return shown


def makeExtension(**settings: Any) -> Any:  # noqa: N802  Python-Markdown asks for this name
    """Return the extension; Markdown is imported here, for only the site needs it."""
    from markdown.extensions import Extension  # noqa: PLC0415
    from markdown.preprocessors import Preprocessor  # noqa: PLC0415

    class Pointers(Preprocessor):
        def run(self, lines: list[str]) -> list[str]:
            return replace_pointers(lines)

    class Pages(Extension):
        def extendMarkdown(self, md: Any) -> None:  # noqa: N802
            md.preprocessors.register(Pointers(md), "notebooks", 100)  # before all others

    return Pages(**settings)
