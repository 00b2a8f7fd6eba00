"""The page in a real browser: an image is dropped and its neighbours are walked; nothing leaves."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from lookalike.errors import LookalikeError, UsageError
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
def test_the_page_fits_its_window(index, encoder, browse, width):
    with listening(create_app(index, encoder=encoder)) as address:
        page = browse(width=width)
        page.open(f"{address}/?id=red%2F07.png&where=class%3Dred")  # as from a bookmark
        page.wait("document.querySelectorAll('.hit').length === 11")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelector('select[name=class]').value") == "red"
        first = page.evaluate("document.querySelector('.hit').getBoundingClientRect().toJSON()")
        assert first["bottom"] < 900, "a neighbour is seen without scrolling"
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
