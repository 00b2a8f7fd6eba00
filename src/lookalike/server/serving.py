"""A collection served at an address of this machine until Ctrl-C."""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import socket
from collections.abc import Callable
from typing import Any

from lookalike.curation.table import Listed
from lookalike.errors import LookalikeError, UsageError
from lookalike.inference import Encoder
from lookalike.neighbors.index import Index

LAST_ANSWERS = 3  # seconds for the requests that are under way at the end


def serve_index(
    index: Index,
    *,
    encoder: Encoder | None = None,
    duplicates: Listed | None = None,
    host: str = "127.0.0.1",
    port: int = 8765,
    ready: Callable[[str], None],
) -> None:
    """Serve until Ctrl-C.

    At an address that others can reach, whoever asks must know a token, which is made anew each
    time and is part of the address that `ready` is told.

    Args:
        index: what to search.
        encoder: what encodes uploads; without one there are none.
        duplicates: of its images, to decide on.
        host: address or name of this machine to listen at.
        port: likewise, in [0, 65535]; 0 for one that is free.
        ready: called with the address as soon as a browser may open it.

    Raises:
        LookalikeError: what a server needs is not installed.
        UsageError: the address cannot be had, the encoder is not the collection's, or the
            duplicates are of other images.
        ValueError: there is no such port.
    """
    uvicorn = _uvicorn()
    from lookalike.server.app import create_app  # noqa: PLC0415  an optional extra
    from lookalike.server.connections import Connection  # noqa: PLC0415
    from lookalike.server.limits import Names  # noqa: PLC0415

    if not 0 <= port <= 65535:
        raise ValueError(f"port must be in [0, 65535], got {port}")
    with _listen(host, port) as listener:
        names = Names.of(host)
        token = None if _is_for_this_machine(listener) else secrets.token_urlsafe(24)
        app = create_app(index, encoder=encoder, duplicates=duplicates, names=names, token=token)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # nobody else says who asks
            ws="none",
            lifespan="off",
            http=Connection,
            timeout_graceful_shutdown=LAST_ANSWERS,
        )
        asks = "" if token is None else f"/?token={token}"
        ready(_address(host, listener.getsockname()[1]) + asks)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _uvicorn() -> Any:
    """Return the package uvicorn, if all that a server needs is installed."""
    try:
        import fastapi  # noqa: F401, PLC0415
        import python_multipart  # noqa: F401, PLC0415
        import uvicorn  # noqa: PLC0415
    except ImportError as problem:
        raise LookalikeError(
            "the server needs fastapi, uvicorn and python-multipart\n"
            "  fix: pip install 'lookalike[serve]'"
        ) from problem
    return uvicorn


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as problem:
        raise UsageError(
            f"cannot listen at {_address(host, port)}: {problem.strerror or problem}\n"
            "  fix: another --port (0 takes a free one), or another --host of this machine"
        ) from problem


def _is_for_this_machine(listener: socket.socket) -> bool:
    """Return whether nobody on another machine can reach a socket."""
    return ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def _address(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
