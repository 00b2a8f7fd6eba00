"""What every page is made with: Jinja that escapes all it is given, our own style and script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lookalike.report.charts import percent

_HERE = Path(__file__).parent


def render(
    template: str,
    *,
    styles: Sequence[str] = ("page.css",),
    scripts: Sequence[str] = ("page.js",),
    **values: Any,
) -> str:
    """Return a page: a template of this folder, filled in, with its style and script inside.

    Args:
        template: its file.
        styles: files of style sheets, one after the other.
        scripts: files of scripts, likewise.
        values: what it is filled in with.
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    script = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in scripts)
    sheets = [(_HERE / name).read_text(encoding="utf-8") for name in styles]
    return environment.get_template(template).render(
        style=Markup("\n".join(sheets)),  # noqa: S704  ours
        script=Markup(script),  # noqa: S704  ours
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        **values,
    )


def encoded(page: str) -> bytes:
    r"""Return a page as UTF-8; a file name may hold bytes that are no text, written as `\udcNN`."""
    return page.encode("utf-8", errors="backslashreplace")
