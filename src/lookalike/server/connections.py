"""Connections that keep the server waiting make room for those that do not."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS: Final = 64  # at a time
PER_CLIENT: Final = 32  # of them to one address
HEADERS_SECONDS: Final = 10.0  # from the first byte of a request, or of a connection, to the last


class Connection(H11Protocol):
    """A connection whose client does not hold a place for nothing.

    It has `HEADERS_SECONDS` for what precedes a request's body. Where there are too many, of one
    address or in all, the one goes that has kept the server waiting for longest: for a request, for
    more of its body, or for its answer to be taken. Where none does, the new one goes.
    """

    since: float
    """When it began to keep the server waiting, by the loop's clock."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place.

        Args:
            transport: of the connection.
        """
        super().connection_made(transport)
        self.since = self.loop.time()
        self._time_headers()
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back.

        Args:
            exc: what went wrong, if anything did.
        """
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, against the clock until the headers are whole.

        Args:
            data: what came.
        """
        super().data_received(data)
        self._time_headers()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self.since = self.loop.time()
        super().on_response_complete()

    @property
    def keeps_waiting(self) -> bool:
        """Whether the server could do nothing for it at present."""
        begun = self.cycle is not None and not self.cycle.response_complete
        reads = self.conn.their_state is h11.SEND_BODY
        return not begun or reads or self.flow.write_paused

    def give_up(self, status: str) -> None:
        """End the connection with a word of why, if no answer has begun.

        Args:
            status: number and reason of the answer.
        """
        if self.conn.our_state is h11.IDLE:
            self.transport.write(
                f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()
            )
        self.transport.close()
        self.loop.call_later(1.0, self.transport.abort)  # it may never take what is left

    def _make_room(self) -> None:
        others = [
            each
            for each in self.connections
            if isinstance(each, Connection) and not each.transport.is_closing()
        ]
        mine = [each for each in others if _address(each) == _address(self)]
        for crowd, most in ((mine, PER_CLIENT), (others, CONNECTIONS)):
            if len(crowd) > most:
                idle = [each for each in crowd if each is not self and each.keeps_waiting]
                longest = min(idle, key=lambda each: each.since, default=self)
                longest.give_up("503 Service Unavailable" if longest is self else _LATE)
                return

    def _time_headers(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_clock()
        elif self._late is None and self.timeout_keep_alive_task is None:
            self._late = self.loop.call_later(HEADERS_SECONDS, self.give_up, _LATE)

    def _stop_clock(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


_LATE = "408 Request Timeout"


def _address(connection: Any) -> str | None:
    return connection.client[0] if connection.client else None
