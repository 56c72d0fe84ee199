"""One client's connection: its bytes in, its requests one after the other, their answers out."""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any, Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from gateway.http1.exchange import WHOLE, Exchange
from gateway.http1.head import NotAccepted, scope_of, without_upgrade

FRUITLESS_BYTES_MAX = 64 * 1024
"""Bytes that bring neither a head to its end nor anything of a body: headers, trailers, extensions of chunks.
Headers are refused from 16 KiB on, by the application and in its words; from here on by the server."""

HEADER_FIELDS_MAX = 1000
"""Of a head that has not ended: each costs more than its bytes. The application has a limit of its own."""

PIPELINED_MAX = 256
"""Requests that wait here. The answer to the last of them ends the connection: the client may ask anew."""

HEAD_TICKS = 6  # at least 5 s for a head to come whole
IDLE_TICKS = 75  # a connection is kept for a next request, longer than load balancers do by default
WRITE_TICKS = 30  # for a client that does not read its answer
LINGER_TICKS = 3  # after the last answer, for a client that is still sending
NEVER = 2**62

_NOTHING: dict[str, Any] = {}
_WHOLE = {WHOLE: _NOTHING}


class Host(Protocol):
    """The server, as far as a connection needs it. A tick is a second."""

    tick: int
    date: bytes
    stopping: bool

    def made(self, connection: "Connection") -> None:
        """Keep time for it."""

    def lost(self, connection: "Connection") -> None:
        """Know that it has ended."""

    def start(self, exchange: Exchange) -> None:
        """Have the application answer."""

    def refusal(self, status: int) -> bytes:
        """Return the whole answer to bytes that are no request."""


class Connection(asyncio.Protocol):
    """`ends_at` is a tick of the server: then what goes on here has taken too long."""

    def __init__(self, host: Host) -> None:
        self.ends_at = host.tick + HEAD_TICKS
        self._host = host
        self._parser = HttpRequestParser(self)
        self._transport = cast(asyncio.Transport, None)
        self._ends: dict[str, Any] = {}
        self._waiting: deque[Exchange] = deque()
        self._current: Exchange | None = None
        self._incoming: Exchange | None = None  # whose body is being read
        self._in_head = False
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_again = b""  # the last one that had an Upgrade, without it
        self._fruitless_bytes = 0
        self._fruitful = False
        self._fault = 0  # the status with which what came last is refused
        self._deaf = False  # what still comes is not looked at
        self._half_closed = False
        self._held_back = False
        self._paused = False
        self._writable: asyncio.Future[None] | None = None

    # --- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        for end, name in (("client", "peername"), ("server", "sockname")):
            address = transport.get_extra_info(name)
            self._ends[end] = address[:2] if address else None  # to IPv6 an address has four parts
        self._host.made(self)

    def data_received(self, data: bytes) -> None:
        """Parse; begin what can be begun, with all of its body that has come."""
        if self._deaf:
            return
        self._fruitful = False
        try:
            self._parse(data)
        except HttpParserError:
            self._refuse(400)
        self._fruitless_bytes = 0 if self._fruitful else self._fruitless_bytes + len(data)
        if self._fruitless_bytes > FRUITLESS_BYTES_MAX or len(self._headers) > HEADER_FIELDS_MAX:
            self._refuse(431)
        self._advance()

    def eof_received(self) -> bool:
        """Keep the other direction open as long as there is something to answer."""
        if self._in_head:
            self._refuse(400)
        self._deaf = self._half_closed = True
        if self._incoming is not None:
            self._incoming.cut_off()
        self._advance()
        return self._current is not None

    def connection_lost(self, error: Exception | None) -> None:
        """End what goes on here."""
        self._host.lost(self)
        self._deaf = True
        if self._current is not None:
            self._current.cut_off()
        self._waiting.clear()
        self._incoming = None
        del self._parser  # it knows us: neither waits for the collector
        self.resume_writing()

    def pause_writing(self) -> None:
        """Have answers wait until the client reads."""
        self._writable = asyncio.get_running_loop().create_future()
        self.ends_at = self._host.tick + WRITE_TICKS

    def resume_writing(self) -> None:
        """Let them go on."""
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None
            if self._current is not None:
                self.ends_at = NEVER

    # --- what the parser calls

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head = True
        if self._current is None:
            self.ends_at = self._host.tick + HEAD_TICKS

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""
        self._headers.append((name.lower(), value.rstrip()))

    def on_headers_complete(self) -> None:
        """Queue an exchange. Raises NotAccepted, which ends the parsing."""
        parser, waiting = self._parser, len(self._waiting)
        if waiting == PIPELINED_MAX:
            raise NotAccepted("more requests than anybody waits for")
        method, version = parser.get_method(), parser.get_http_version()
        target, headers = self._target, self._headers
        scope, expects = scope_of(method, version, target, headers, self._ends)
        self._in_head, self._target, self._headers = False, b"", []
        if parser.should_upgrade():
            self._head_again = without_upgrade(method, version, target, headers)
            return
        keep = parser.should_keep_alive() and waiting + 1 < PIPELINED_MAX
        self._incoming = Exchange(self, scope, keep=keep, continues=expects)
        self._waiting.append(self._incoming)
        self._fruitful = True

    def on_body(self, data: bytes) -> None:
        """Take a part of a body."""
        self._fruitful = True
        if self._incoming is not None:
            self._incoming.feed(data)

    def on_message_complete(self) -> None:
        """End a body."""
        if self._incoming is not None:
            self._incoming.end()
        self._incoming = None
        self._headers = []  # trailers, which nobody reads

    # --- what an exchange calls

    @property
    def date(self) -> bytes:
        """The time, as an answer tells it."""
        return self._host.date

    @property
    def stopping(self) -> bool:
        """No request follows this one, because the server ends."""
        return self._host.stopping

    def write(self, data: bytes) -> None:
        """Send, or drop what nobody can get any more."""
        if not self._transport.is_closing():
            self._transport.write(data)

    async def writable(self) -> None:
        """Return once the client has taken enough of what was sent."""
        if self._writable is not None:
            await asyncio.shield(self._writable)  # it is not only for the one who waits, and may be cancelled

    def hold_back(self, held: bool) -> None:
        """Read no more of the client, or read on."""
        self._held_back = held
        self._pause()

    def answered(self, *, keep: bool, whole: bool) -> None:
        """Go on with the next request, or end."""
        self._current = None
        self._held_back = False
        if keep:
            self.ends_at = self._host.tick + (HEAD_TICKS if self._in_head else IDLE_TICKS)
            self._advance()
        else:
            self._end(linger=not whole or self._deaf or bool(self._waiting))

    # --- what the server calls

    def stop(self) -> None:
        """End the connection where nothing is to be answered; else it ends with the answer."""
        if self._current is None and not self._half_closed:
            self._end()

    def expire(self) -> None:
        """End what took too long: also to close, for a client that does not read its answer."""
        if self._writable is not None or self._transport.is_closing():
            self._transport.abort()
        else:
            self._end()

    # ---

    def _parse(self, data: bytes) -> None:
        """Raises HttpParserError. At an Upgrade the parser leaves HTTP/1.1, before the body; we stay."""
        while True:
            try:
                self._parser.feed_data(data)
                break
            except HttpParserUpgrade as upgrade:
                data, self._head_again = self._head_again + data[upgrade.args[0] :], b""
                self._parser = HttpRequestParser(self)

    def _refuse(self, status: int) -> None:
        """Look at nothing more, and refuse it when all before it is answered."""
        if self._deaf:
            return
        self._deaf, self._in_head = True, False
        self._target, self._headers = b"", []
        if self._incoming is not None:  # it is this one's body that is wrong: the application says so
            self._incoming.cut_off()
        else:
            self._fault = status

    def _advance(self) -> None:
        """Begin the next exchange, if none is going on."""
        if self._current is None and not self._transport.is_closing():
            if self._waiting:
                self._begin(self._waiting.popleft())
            elif self._fault:
                self._transport.write(self._host.refusal(self._fault))
                self._end(linger=True)
            elif self._deaf or self._host.stopping:
                self._end()
        self._pause()

    def _begin(self, exchange: Exchange) -> None:
        self._current = exchange
        self.ends_at = NEVER
        if exchange.whole:
            exchange.scope["extensions"] = _WHOLE
        self._host.start(exchange)

    def _end(self, *, linger: bool = False) -> None:
        """Close, after what was written. A client that is still sending gets to read it if we linger."""
        self._waiting.clear()
        self._incoming = None
        self._deaf, self._fault = True, 0
        if linger and not self._half_closed and not self._transport.is_closing():
            self._half_closed = True
            self.ends_at = self._host.tick + LINGER_TICKS
            self._pause()
            with suppress(OSError):  # the client may be gone, and we not know it yet
                self._transport.write_eof()
        else:
            self.ends_at = self._host.tick + WRITE_TICKS
            self._transport.close()

    def _pause(self) -> None:
        """Read on, unless nobody asks for the body that comes, or requests wait for their turn."""
        pause = not self._deaf and (self._held_back or bool(self._waiting))
        if pause != self._paused and not self._transport.is_closing():
            self._paused = pause
            (self._transport.pause_reading if pause else self._transport.resume_reading)()
