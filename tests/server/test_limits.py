"""Requests by another name, too large, too slow or too many are refused, and before they cost."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse

from lookalike.server.limits import HEADERS, Desk, Guard, Names

Send = Callable[[dict[str, Any]], Awaitable[None]]


@pytest.mark.parametrize(
    ("bound", "host", "answered"),
    [
        ("127.0.0.1", "127.0.0.1:8765", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "LOCALHOST:9000", True),  # through a tunnel
        ("127.0.0.1", "[::1]:8765", True),
        ("127.0.0.2", "127.0.0.2:8765", True),
        ("127.0.0.1", "evil.example", False),  # a name that was made to lead here
        ("127.0.0.1", "127.0.0.1.evil.example:8765", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "evil.example@127.0.0.1", False),
        ("127.0.0.1", "127.0.0.1:8765/evil.example", False),
        ("127.0.0.1", "10.0.0.7:8765", False),
        ("127.0.0.1", "", False),
        ("10.0.0.7", "10.0.0.7:8765", True),
        ("10.0.0.7", "127.0.0.1:8765", False),
        ("box.example", "Box.Example:8765", True),
        ("box.example", "evil.example:8765", False),
        ("0.0.0.0", "192.168.1.5:8765", True),  # no name can be made to lead to a number
        ("::", "[fe80::1]:8765", True),
        ("0.0.0.0", "evil.example:8765", False),
        ("0.0.0.0", "999.1.1.1:8765", False),
    ],
)
def test_only_the_servers_own_names_are_answered(bound, host, answered):
    assert Names.of(bound).include(host) is answered


async def hello(scope: Any, receive: Any, send: Send) -> None:
    await PlainTextResponse("hello")(scope, receive, send)


async def swallow(scope: Any, receive: Any, send: Send) -> None:
    """Read the whole body, as the parser of a form does; refuse what the guard raises."""
    try:
        while (await receive()).get("more_body"):
            pass
    except HTTPException as problem:
        await PlainTextResponse(problem.detail, problem.status_code)(scope, receive, send)
        return
    await hello(scope, receive, send)


def guarded(app: Any = hello, **limits: Any) -> Guard:
    return Guard(app, names=Names.of("127.0.0.1"), **limits)


def ask(
    guard: Guard, body: AsyncIterator[bytes] | None = None, query: str = "", **headers: str
) -> list[Any]:
    """Return the messages that the guard sends for one request; its body comes piece by piece."""

    async def receive() -> dict[str, Any]:
        piece = b"" if body is None else await anext(body, b"")
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    sent: list[Any] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    named = {
        "host": "127.0.0.1",
        **{name.replace("_", "-"): each for name, each in headers.items()},
    }
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": query.encode(),
        "headers": [(name.encode(), each.encode()) for name, each in named.items()],
    }
    asyncio.run(guard(scope, receive, send))
    return sent


def test_every_answer_says_what_a_browser_may_not_do_with_it():
    for sent in (ask(guarded()), ask(guarded(), host="evil.example"), ask(guarded(), origin="x")):
        told = dict(sent[0]["headers"])
        for name, value in HEADERS.items():
            assert told[name.lower().encode()] == value.encode()
    assert "http" not in HEADERS["Content-Security-Policy"], "no address outside is allowed"
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:8765", 200),
        ("https://127.0.0.1:8765", 200),  # behind something that speaks TLS
        ("http://127.0.0.1:9999", 403),  # another program of this machine
        ("http://evil.example", 403),
        ("null", 403),  # a file, or a frame in a sandbox
    ],
)
def test_pages_of_other_sites_get_no_answer(origin, status):
    assert ask(guarded(), host="127.0.0.1:8765", origin=origin)[0]["status"] == status


def test_a_body_that_says_it_is_too_large_is_refused_unread():
    async def body() -> AsyncIterator[bytes]:
        pytest.fail("it was read")
        yield b""

    sent = ask(guarded(swallow, max_bytes=1_500_000), body(), content_length="1500001")
    assert sent[0]["status"] == 413
    assert json.loads(sent[1]["body"]) == {"error": "the upload is larger than 1.5 MB"}


def test_a_body_that_says_nothing_is_read_up_to_the_limit_and_no_further():
    given = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal given
        while True:  # it would go on for ever
            given += 1000
            yield b"x" * 1000

    assert ask(guarded(swallow, max_bytes=10_000), body())[0]["status"] == 413
    assert given == 11_000


def test_a_body_of_just_the_limit_passes():
    async def body() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 1000

    assert (
        ask(guarded(swallow, max_bytes=10_000), body(), content_length="10000")[0]["status"] == 200
    )


def test_what_takes_too_long_ends():
    async def sleep(scope: Any, receive: Any, send: Send) -> None:
        await asyncio.sleep(60)

    sent = ask(guarded(sleep, seconds=0.02))
    assert sent[0]["status"] == 503
    assert int(dict(sent[0]["headers"])[b"retry-after"]) > 0


def test_a_body_that_trickles_in_ends_as_well():
    async def body() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.01)
            yield b"x"

    assert ask(guarded(swallow, seconds=0.1), body())[0]["status"] == 408


def test_a_time_out_of_the_app_is_its_own():
    async def broken(scope: Any, receive: Any, send: Send) -> None:
        raise TimeoutError("of something else")

    with pytest.raises(TimeoutError, match="something else"):
        ask(guarded(broken))


def test_so_many_jobs_are_done_at_once_so_many_wait_and_others_are_refused():
    desk, free = Desk(2, waiting=3), threading.Event()
    lock, running, most = threading.Lock(), 0, 0

    def job(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        free.wait(60)
        with lock:
            running -= 1
        return number

    async def crowd() -> list[Any]:
        jobs = [asyncio.ensure_future(desk.do(job, number)) for number in range(9)]
        await asyncio.sleep(0.05)
        free.set()
        return await asyncio.gather(*jobs, return_exceptions=True)

    results = asyncio.run(crowd())
    assert results[:5] == [0, 1, 2, 3, 4]
    assert [each.status_code for each in results[5:]] == [503] * 4
    assert all(int(each.headers["Retry-After"]) > 0 for each in results[5:])
    assert most == 2
    assert asyncio.run(desk.do(job, 7)) == 7, "places are given back"


def test_a_job_keeps_its_place_when_nobody_waits_for_it_any_more():
    desk, free, began = Desk(1, waiting=0), threading.Event(), threading.Event()

    def job() -> None:
        began.set()
        free.wait(60)

    async def give_up() -> int:
        first = asyncio.ensure_future(desk.do(job))
        await asyncio.to_thread(began.wait, 60)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        with pytest.raises(HTTPException) as refusal:
            await desk.do(job)
        return refusal.value.status_code

    assert asyncio.run(give_up()) == 503
    free.set()


def test_a_job_that_fails_gives_its_place_back():
    desk = Desk(1, waiting=0)

    async def fail() -> None:
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await desk.do(lambda: 1 // 0)
            await asyncio.sleep(0.02)  # the place is given back a moment after the answer

    asyncio.run(fail())


def token_guard() -> Guard:
    return guarded(token="a-token")


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("", {}, 401),
        ("token=", {}, 401),
        ("token=a-toke", {}, 401),
        ("token=b-token", {"accept": "text/html"}, 401),
        ("", {"authorization": "Bearer b-token"}, 401),
        ("", {"authorization": "a-token"}, 401),
        ("", {"authorization": "Bearer"}, 401),
        ("", {"cookie": "lookalike=a-token"}, 401),  # of a server with another token
        ("token=a-token", {}, 200),
        ("", {"authorization": "bearer a-token"}, 200),
        ("token=a-token", {"accept": "text/html,*/*"}, 303),
    ],
)
def test_where_there_is_a_token_nobody_is_answered_without_it(query, headers, status):
    assert ask(token_guard(), query=query, **headers)[0]["status"] == status


def test_no_header_of_a_cookie_but_the_right_one_passes():
    guard = token_guard()
    for value, status in (("a-token", 200), ("b-token", 401), ("", 401), ("a-token2", 401)):
        assert ask(guard, cookie=f"{guard.cookie}={value}")[0]["status"] == status


def test_a_browser_is_given_a_cookie_and_the_token_leaves_the_address():
    guard = token_guard()
    sent = ask(guard, query="where=a%3Db&token=a-token&where=c", accept="text/html")
    told = dict(sent[0]["headers"])
    assert told[b"location"] == b"/?where=a%3Db&where=c"
    cookie = told[b"set-cookie"].decode()
    assert cookie.startswith(f"{guard.cookie}=a-token; ")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert told[b"referrer-policy"] == b"no-referrer"
    assert ask(guard, cookie=cookie.partition(";")[0])[0]["status"] == 200
    assert guarded(token="another").cookie != guard.cookie


def test_a_token_is_compared_in_constant_time(monkeypatch):
    compared = []

    def compare(shown: bytes, wanted: bytes) -> bool:
        compared.append((shown, wanted))
        return False

    monkeypatch.setattr("lookalike.server.limits.secrets.compare_digest", compare)
    assert ask(token_guard(), query="token=a-token")[0]["status"] == 401
    assert (b"a-token", b"a-token") in compared


def test_another_name_or_page_is_refused_before_the_token_is_looked_at():
    assert ask(token_guard(), query="token=a-token", host="evil.example")[0]["status"] == 421
    assert ask(token_guard(), query="token=a-token", origin="http://evil")[0]["status"] == 403
