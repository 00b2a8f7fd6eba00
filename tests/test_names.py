"""Names are shown as they are, but for what does not print, and come back from a table's cells."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.names import from_cell, shown, to_cell, to_cells


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("photo 1.jpg", "photo 1.jpg"),
        ("żółw/日本.png", "żółw/日本.png"),
        ("\x1b]0;title\x07.png", r"\x1b]0;title\x07.png"),
        ("a\nerror: b\r", r"a\nerror: b\r"),
        ("\x9b31m", r"\x9b31m"),  # ESC [ in one byte
        ("gnp.\u202ejpg", r"gnp.\u202ejpg"),  # what follows would be shown from right to left
        ("\u2028\udcff", r"\u2028\udcff"),
        (7, "7"),
    ],
)
def test_what_does_not_print_is_escaped(name, wanted):
    assert shown(name) == wanted


@given(st.text())
def test_a_shown_text_is_one_printable_line(text):
    assert shown(text).isprintable()
    assert shown(shown(text)) == shown(text)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+a", "'+a"),
        ("-a.png", "'-a.png"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("＝1", "'＝1"),  # as wide as a letter of Japanese, and a formula there
        ("'=1", "''=1"),
        ("'-1", "''-1"),
        ("'quoted'", "'quoted'"),
        ("a=1", "a=1"),
        ("", ""),
        ("-1", "-1"),
        ("-0.25", "-0.25"),
        ("+1e-3", "+1e-3"),
        ("-1+cmd", "'-1+cmd"),
    ],
)
def test_what_begins_like_a_formula_is_a_name_and_comes_back(text, cell):
    assert to_cell(text) == cell
    assert from_cell(cell) == text


@given(st.text(alphabet="'=+-@\t\r\na1."))
def test_every_name_comes_back_from_a_file(text):
    file = io.StringIO(newline="")
    csv.writer(file).writerow(to_cells([text, None, 1.5]))
    ((first, *rest),) = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert from_cell(first) == text
    assert rest == ["", "1.5"]
    assert to_cell(text)[:1] not in ("=", "@", "\t", "\r", "\n")
