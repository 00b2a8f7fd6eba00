"""What every request is held to: what it names and knows, how large it is, how long it may take.

A browser runs the scripts of any page that its user opens, and these can reach 127.0.0.1. So the
server answers only to its own names, which a page that lets its own name lead here (DNS rebinding)
cannot use, and only to pages of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import re
import secrets
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, ParamSpec, TypeVar
from urllib.parse import urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BYTES: Final = 20_000_000  # of an upload
SECONDS: Final = 30.0  # that a request may take
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Sent with every answer: the page loads nothing from elsewhere, and no other page loads it."""

P = ParamSpec("P")
T = TypeVar("T")

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Names:
    """What the server may be called.

    Attributes:
        names: in small letters.
        addresses: whether any numeric address will do, which no name can be made to lead to.
    """

    names: frozenset[str]
    addresses: bool = False

    @classmethod
    def of(cls, host: str) -> Names:
        """Return the names of a server that listens at this address or name."""
        here = frozenset({"localhost", "127.0.0.1", "::1"})
        address = _address(host)
        if address is not None and address.is_unspecified:
            return cls(here | {socket.gethostname().lower()}, addresses=True)
        if host.lower() == "localhost" or (address is not None and address.is_loopback):
            return cls(here | {host.lower()})
        return cls(frozenset({host.lower()}))

    def include(self, host: str) -> bool:
        """Return whether a request's Host header, with or without a port, names the server."""
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match[1].strip("[]").lower()
        return name in self.names or (self.addresses and _address(name) is not None)


class Guard:
    """Answers what may not pass, and sends `HEADERS` with everything.

    Where there is a token, a request must have it: as `Authorization: Bearer TOKEN`, in its
    address, or in the cookie that a browser is given when it comes with `?token=TOKEN`.

    Args:
        app: what to guard.
        names: of the server.
        token: that whoever asks must know; none: all are answered.
        max_bytes: of a request's body.
        seconds: that a request may take.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        names: Names,
        token: str | None = None,
        max_bytes: int = MAX_BYTES,
        seconds: float = SECONDS,
    ) -> None:
        self.app, self.names, self.max_bytes, self.seconds = app, names, max_bytes, seconds
        self.token = token
        # servers at other ports of one host share its cookies: each has a name of its own
        self.cookie = f"lookalike-{hashlib.sha256((token or '').encode()).hexdigest()[:12]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, within its limits, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = reading = False
        taken = 0

        async def read() -> Message:
            nonlocal reading, taken
            reading = True  # and still so where the time is up meanwhile
            message = await receive()
            reading = False
            taken += len(message.get("body", b""))
            if taken > self.max_bytes:
                raise HTTPException(413, self._too_large())
            return message

        async def answer(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refuse(Headers(scope=scope)) or self._ask_for_token(Request(scope))
        try:
            async with asyncio.timeout(self.seconds) as clock:
                await (refusal or self.app)(scope, read, answer)
        except TimeoutError:
            if not clock.expired() or begun:
                raise
            late = refuse(408, "the request came too slowly") if reading else busy()
            await late(scope, receive, answer)

    def _ask_for_token(self, request: Request) -> Response | None:
        """Return what is answered to a request that does not show the token, or first shows it."""
        if self.token is None:
            return None
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        shown = (bearer.strip() if scheme.lower() == "bearer" else "", self._cookie_of(request))
        if any(self._is_token(each) for each in shown):
            return None
        if not self._is_token(request.query_params.get("token", "")):
            return refuse(401, "this server answers to its token: open the address that it printed")
        if "text/html" not in request.headers.get("accept", ""):
            return None  # a program, which keeps no cookie
        rest = [
            (name, each) for name, each in request.query_params.multi_items() if name != "token"
        ]
        place = request.url.path + (f"?{urlencode(rest)}" if rest else "")
        away = RedirectResponse(f"/{place.lstrip('/')}", 303)  # out of the address, and its history
        away.set_cookie(self.cookie, self.token, httponly=True, samesite="lax")
        return away

    def _cookie_of(self, request: Request) -> str:
        return request.cookies.get(self.cookie, "")

    def _is_token(self, shown: str) -> bool:
        return secrets.compare_digest(shown.encode(), (self.token or "").encode())

    def _refuse(self, headers: Headers) -> JSONResponse | None:
        """Return the refusal of a request by its headers, if there is a reason."""
        host = headers.get("host", "")
        if not self.names.include(host):
            return refuse(421, "this server has another name: use the address that it printed")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return refuse(403, "pages of other sites may not ask this server")
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > self.max_bytes:
            return refuse(413, self._too_large())
        return None

    def _too_large(self) -> str:
        return f"the upload is larger than {self.max_bytes / 1e6:g} MB"


class Desk:
    """Threads that do what takes long; some jobs may wait for them, and more are refused.

    A job whose request has timed out goes on, and keeps its place until it is done: so there is
    never more work, and memory, than was agreed.

    Args:
        at_once: jobs done at a time.
        waiting: jobs that may wait.
    """

    def __init__(self, at_once: int, *, waiting: int) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="lookalike-serve")
        self._places = threading.Semaphore(at_once + waiting)

    async def do(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a job returns.

        Raises:
            HTTPException: too many jobs are waiting: 503.
        """
        if not self._places.acquire(blocking=False):
            raise HTTPException(503, _BUSY, headers=_LATER)
        future = self._threads.submit(job, *args, **kwargs)
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)


def refuse(status: int, why: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an answer that tells what is wrong."""
    return JSONResponse({"error": why}, status, headers)


def busy() -> JSONResponse:
    """Return the answer where there is more to do than time."""
    return refuse(503, _BUSY, _LATER)


_BUSY = "the server has more to do than it can: ask again in a moment"
_LATER = {"Retry-After": "2"}


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
