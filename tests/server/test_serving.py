"""The page in a real browser: an image is dropped and its neighbours are walked; nothing leaves."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from PIL import Image

from lookalike.curation.duplicates import find_duplicates, write_csv
from lookalike.curation.moves import plan_moves
from lookalike.curation.table import read_listed, read_rows
from lookalike.errors import LookalikeError, UsageError
from lookalike.neighbors.embedding import embed_source
from lookalike.neighbors.index import Index
from lookalike.server.app import create_app
from lookalike.server.serving import serve_index


@contextmanager
def listening(app: Any) -> Iterator[str]:
    """Serve an app at a free port in a thread, and yield its address."""
    config = uvicorn.Config(app, port=0, log_level="warning", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.05)
            assert thread.is_alive()
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def test_in_a_browser_an_image_is_dropped_and_its_neighbours_are_walked(
    index, encoder, folder, browse
):
    with listening(create_app(index, encoder=encoder)) as address:
        page = browse()
        page.open(address)
        page.wait("document.querySelectorAll('.hit').length === 24")
        page.drop(folder / "photos/red/07.png", 200, 200)
        page.wait("document.querySelector('.hit b')")
        shown = "[...document.querySelectorAll('.hit .file')].map((each) => each.textContent)"
        wanted = [
            name for name, _ in next(iter(index.search(str(folder / "photos/red/07.png"), 20)))
        ]
        assert page.evaluate(shown) == wanted
        assert page.evaluate("document.title").startswith("07.png")
        page.wait("document.querySelector('#picture').naturalWidth > 0")
        page.wait("[...document.querySelectorAll('.hit img')].every((each) => each.naturalWidth)")

        second = wanted[1]  # by the pointer, then back and forward
        box = page.evaluate("document.querySelectorAll('.hit')[1].getBoundingClientRect().toJSON()")
        page.click(box["x"] + 40, box["y"] + 40)
        page.wait(f"document.title.startsWith({second!r})")
        assert [name for name, _ in next(iter(index.search_ids(second, 20)))] == page.evaluate(
            shown
        )
        page.evaluate("history.back()")
        page.wait("document.title.startsWith('07.png')")
        page.wait(f"{shown}[0] === {wanted[0]!r}")
        page.evaluate("history.forward()")
        page.wait(f"document.title.startsWith({second!r})")

        page.evaluate("document.querySelectorAll('.hit')[2].focus()")  # by the keyboard
        third = page.evaluate("document.activeElement.title")
        page.press("Enter", 13)
        page.wait(f"document.title.startsWith({third!r})")

        script = "const s = document.querySelector('select[name=class]'); s.value = 'blue';"
        page.evaluate(f"{{ {script} s.dispatchEvent(new Event('change')) }}")
        page.wait("document.querySelectorAll('.hit').length === 12")
        assert {name.partition("/")[0] for name in page.evaluate(shown)} == {"blue"}
        assert page.evaluate("location.search").endswith("where=class%3Dblue")

        page.evaluate("document.querySelector('#canvas').focus()")  # the map, by the keyboard
        page.press("ArrowRight", 39)
        page.wait("!document.querySelector('#card').hidden")
        pointed = page.evaluate("document.querySelector('#card-name').textContent")
        page.press("Enter", 13)
        page.wait(f"{pointed!r}.endsWith(document.querySelector('#title').textContent)")
        page.wait("document.querySelector('#card-picture').naturalWidth > 0")

        page.wait("!document.body.classList.contains('busy')")
        assert page.complaints == []
        assert {
            each for each in page.requests if not each.startswith((f"{address}/", "blob:"))
        } == set()
        assert f"{address}/api/search" in {each.partition("?")[0] for each in page.requests}


@pytest.mark.parametrize("width", [1280, 390])
def test_the_pages_fit_their_window(index, encoder, listed, browse, width):
    with listening(create_app(index, encoder=encoder, duplicates=listed)) as address:
        page = browse(width=width)
        page.open(f"{address}/?id=red%2F07.png&where=class%3Dred")  # as from a bookmark
        page.wait("document.querySelectorAll('.hit').length === 11")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelector('select[name=class]').value") == "red"
        first = page.evaluate("document.querySelector('.hit').getBoundingClientRect().toJSON()")
        assert first["bottom"] < 900, "a neighbour is seen without scrolling"

        page.open(f"{address}/duplicates")
        page.wait(READY)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        first = page.evaluate(
            "document.querySelector('.copy img').getBoundingClientRect().toJSON()"
        )
        bar = page.evaluate("document.querySelector('#save').getBoundingClientRect().toJSON()")
        assert first["bottom"] < bar["top"], "a picture is seen without scrolling"
        assert page.complaints == []


def click(page: Any, button: str) -> None:
    """Click a button by the pointer."""
    where = f"document.querySelector({button!r})"
    page.evaluate(f"{where}.scrollIntoView({{ block: 'center', behavior: 'instant' }})")
    box = page.evaluate(f"{where}.getBoundingClientRect().toJSON()")
    page.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


READY = "document.querySelector('#save') && !document.querySelector('#save').hidden"


def saved(page: Any, folder: Path) -> Path:
    """Click on save and return the file that the browser wrote."""
    table = folder / "duplicates.csv"
    table.unlink(missing_ok=True)
    click(page, "#download")
    page.wait("!document.querySelector('#next').hidden")
    until = time.monotonic() + 60
    while not table.exists():
        assert time.monotonic() < until, "nothing was saved"
        time.sleep(0.05)
    return table


def test_in_a_browser_marks_on_duplicates_are_saved_as_the_table_that_apply_reads(
    index, listed, browse, folder, tmp_path
):
    own = (folder / "dups/duplicates.csv").read_bytes()
    with listening(create_app(index, duplicates=listed)) as address:
        page = browse()
        page.save_to(tmp_path)
        page.open(f"{address}/duplicates")
        page.wait(READY)
        page.wait("[...document.querySelectorAll('.copy img')].every((each) => each.naturalWidth)")
        heads = "[...document.querySelectorAll('.group h2')].map((each) => each.textContent)"
        assert page.evaluate(heads) == ["0.810", "0.830", "the same"]
        assert saved(page, tmp_path).read_bytes() == own, "no mark changes no byte"

        click(page, ".group:nth-child(1) .spare button:nth-child(2)")  # not the same
        click(page, ".group:nth-child(2) .copy:nth-child(3) button:nth-child(1)")  # keep this one
        page.open(f"{address}/duplicates?again")  # marks outlive the page
        page.wait(f"location.search === '?again' && {READY}")
        assert page.evaluate("document.querySelector('#sum').textContent").startswith(
            "You changed 2"
        )
        table = saved(page, tmp_path)
        rows = {row["id"]: row for row in read_rows(table)}
        kept = {name for name, row in rows.items() if row["keep"] == "yes"}
        assert kept == {"blue/00.png", "blue/04.png", "red/07.png", "red/05.png"}
        assert rows["red/07.png"]["reason"] == "not the same"
        assert rows["red/05.png"]["reason"] == "chosen by a person"
        moves = plan_moves(
            table, folder / "photos", tmp_path / "spare", tmp_path / "undo.csv"
        ).moves
        assert {move.source.name for move in moves} == {"02.png", "01.png", "03.png"}

        click(page, "#forget")
        assert saved(page, tmp_path).read_bytes() == own
        page.wait("!document.body.classList.contains('busy')")
        assert page.complaints == []
        strange = [each for each in page.requests if not each.startswith((address, "blob:"))]
        assert strange == []
    assert (folder / "dups/duplicates.csv").read_bytes() == own, "the server writes nothing"


def test_in_a_browser_names_are_text_and_cells_are_quoted(browse, encoder, tmp_path):
    name = '<img src=x onerror=alert(1)>, "b".png'
    (tmp_path / "photos").mkdir()
    for each in (name, "a.png"):
        Image.new("RGB", (20, 20), "red").save(tmp_path / "photos" / each)
    embed_source(encoder, tmp_path / "photos", out=tmp_path / "x.vec")
    found = find_duplicates(tmp_path / "x.vec")
    (tmp_path / "dups").mkdir()
    write_csv(found, tmp_path / "dups/duplicates.csv")
    (tmp_path / "dups/duplicates.json").write_text(json.dumps(found.to_json()))
    listed = read_listed(tmp_path / "dups")
    with listening(create_app(Index.open(tmp_path / "x.vec"), duplicates=listed)) as address:
        page = browse()
        (tmp_path / "saved").mkdir()
        page.save_to(tmp_path / "saved")
        page.open(f"{address}/duplicates")
        page.wait(READY)
        shown = "[...document.querySelectorAll('.copy .file')].map((each) => each.textContent)"
        assert sorted(page.evaluate(shown)) == sorted((name, "a.png"))
        again = saved(page, tmp_path / "saved")
        assert again.read_bytes() == (tmp_path / "dups/duplicates.csv").read_bytes()
        assert page.complaints == []


def test_where_nobody_looked_for_duplicates_the_page_says_how(index, browse):
    with listening(create_app(index)) as address:
        page = browse()
        page.open(address)
        page.wait("document.querySelectorAll('.hit').length === 24")
        click(page, ".tabs a:nth-child(2)")
        page.wait(
            "document.querySelector('#command') && !document.querySelector('#command').hidden"
        )
        told = page.evaluate("document.querySelector('#command').textContent")
        assert told.splitlines()[1] == "lookalike serve photos.vec --duplicates dups"
        assert page.complaints == []


def never(address: str) -> None:
    pytest.fail(f"it serves at {address}")


def test_a_port_that_is_taken_is_said_to_be(index):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot listen at http://127.0.0.1:{port}: .*in use"):
            serve_index(index, port=port, ready=never)


def test_an_address_of_another_machine_is_said_to_be_one(index):
    with pytest.raises(UsageError, match=r"at http://192\.0\.2\.1:8765: Cannot assign"):
        serve_index(index, host="192.0.2.1", ready=never)
    with pytest.raises(UsageError, match="cannot listen at http://no such host:8765"):
        serve_index(index, host="no such host", ready=never)
    with pytest.raises(ValueError, match="port must be in"):
        serve_index(index, port=70_000, ready=never)


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "python_multipart"])
def test_what_is_not_installed_is_named_with_the_command_that_installs_it(
    index, monkeypatch, package
):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(LookalikeError, match=r"pip install 'lookalike\[serve\]'"):
        serve_index(index, ready=never)
