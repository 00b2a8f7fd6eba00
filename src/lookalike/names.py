"""Names of files and classes, which anybody may choose: on a terminal, and in a table's cell.

A name may hold what moves a terminal's cursor, retitles its window or begins a line of its own, and
what a spreadsheet takes for a formula. It is shown so that it is seen, and kept so that it stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_FORMULA: Final = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def shown(text: object) -> str:
    r"""Return a text on one line, with every letter that does not print written as its escape.

    Args:
        text: a name, or a line with names in it; a letter that is no letter is shown as `\x1b`,
            `\n` or `\u202e`.
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in str(text)
    )


def to_cells(values: Iterable[object]) -> list[str]:
    """Return the cells of a row that no spreadsheet takes for formulas.

    A text that begins as formulas do gets an apostrophe in front, as people put one there; numbers
    stay as they are.

    Args:
        values: of the row; none is an empty cell.
    """
    return ["" if value is None else to_cell(str(value)) for value in values]


def to_cell(text: str) -> str:
    """Return a text as a cell that no spreadsheet takes for a formula; `from_cell` undoes it."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def from_cell(cell: str) -> str:
    """Return the text that `to_cell` made a cell of."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
