"""Connections that wait for their client lock nobody out: with 70 held, others are answered."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from lookalike.server import connections
from lookalike.server.connections import CONNECTIONS, PER_CLIENT, Connection
from lookalike.server.limits import Guard, Names


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Read what is sent and answer."""
    while (await receive()).get("more_body"):
        pass
    await PlainTextResponse("hello")(scope, receive, send)


@contextmanager
def listening(app: Any = hello) -> Iterator[int]:
    """Serve an app as `serve_index` does, and yield its port."""
    config = uvicorn.Config(
        Guard(app, names=Names.of("127.0.0.1")),
        port=0,
        log_level="warning",
        lifespan="off",
        ws="none",
        http=Connection,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.05)
            assert thread.is_alive()
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def hold(
    port: int, sent: bytes, held: ExitStack, *, source: str = "127.0.0.1", count: int = 1
) -> list[socket.socket]:
    """Open connections, send each something and let it hang."""
    opened = []
    for _ in range(count):
        each = socket.create_connection(("127.0.0.1", port), 30, source_address=(source, 0))
        held.enter_context(each)
        each.sendall(sent)
        opened.append(each)
    return opened


def read_hello(connection: socket.socket) -> None:
    got = b""
    while not got.endswith(b"hello"):  # it may come in pieces
        piece = connection.recv(1000)
        assert piece, got
        got += piece


def seconds_to_be_answered(port: int, *, source: str = "127.0.0.1") -> float:
    began = time.monotonic()
    asking = http.client.HTTPConnection("127.0.0.1", port, 30, source_address=(source, 0))
    asking.request("GET", "/", headers={"Host": "127.0.0.1"})
    answer = asking.getresponse()
    assert (answer.status, answer.read()) == (200, b"hello")
    asking.close()
    return time.monotonic() - began


HALF = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BODY = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nx"


@pytest.mark.parametrize("sent", [b"", HALF, BODY], ids=["idle", "half a header", "half a body"])
@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
def test_while_70_are_held_others_are_answered_at_once(sent, source):
    with listening() as port, ExitStack() as held:
        hold(port, sent, held, count=70)
        for _ in range(5):
            assert seconds_to_be_answered(port, source=source) < 1


def test_of_one_address_the_longest_waiting_goes_and_of_another_none():
    with listening() as port, ExitStack() as held:
        (other,) = hold(port, HALF, held, source="127.0.0.2")
        first, *rest = hold(port, HALF, held, count=PER_CLIENT)
        hold(port, HALF, held)
        assert first.recv(100).startswith(b"HTTP/1.1 408")
        for each in (rest[0], other):
            each.sendall(b"\r\n")
            assert each.recv(100).startswith(b"HTTP/1.1 200")


def test_of_many_addresses_no_more_than_so_many_are_held():
    assert CONNECTIONS == 2 * PER_CLIENT
    with listening() as port, ExitStack() as held:
        longest = hold(port, HALF, held, source="127.0.0.2", count=PER_CLIENT)
        hold(port, HALF, held, source="127.0.0.3", count=PER_CLIENT)
        hold(port, HALF, held, source="127.0.0.4")
        assert longest[0].recv(100).startswith(b"HTTP/1.1 408")


def test_what_is_being_answered_is_not_cut_off():
    go_on = threading.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        import asyncio

        await asyncio.to_thread(go_on.wait, 30)
        await hello(scope, receive, send)

    with listening(slow) as port, ExitStack() as held:
        try:
            whole = HALF + b"\r\n"
            asked = hold(port, whole, held, count=PER_CLIENT)
            time.sleep(0.3)  # until all are read
            (refused,) = hold(port, whole, held)
            assert refused.recv(100).startswith(b"HTTP/1.1 503")
        finally:
            go_on.set()
        for each in asked:
            assert each.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("sent", [b"", HALF])
@pytest.mark.parametrize("again", [False, True])
def test_headers_have_their_time_however_they_trickle_in(monkeypatch, sent, again):
    monkeypatch.setattr(connections, "HEADERS_SECONDS", 0.5)
    with listening() as port, ExitStack() as held:
        (slow,) = hold(port, HALF + b"\r\n" if again else b"", held)
        if again:  # a connection that has had an answer is held to it as well
            read_hello(slow)
        slow.sendall(sent)
        began = time.monotonic()
        slow.settimeout(0.1)
        got = b"?"
        while got == b"?" and time.monotonic() - began < 8:
            try:
                got = slow.recv(100)
            except TimeoutError:
                if sent:
                    slow.sendall(b"X")
        assert got.startswith(b"HTTP/1.1 408") or (again and not sent and got == b"")
        assert time.monotonic() - began < 7


def test_who_is_quick_is_answered_as_often_as_he_asks(monkeypatch):
    monkeypatch.setattr(connections, "HEADERS_SECONDS", 0.5)
    with listening() as port, ExitStack() as held:
        (quick,) = hold(port, b"", held)
        for _ in range(4):
            quick.sendall(HALF + b"\r\n")
            read_hello(quick)
            time.sleep(0.3)
