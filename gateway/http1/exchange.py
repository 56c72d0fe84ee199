"""One request and its answer, as ASGI sees them."""

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from typing import Protocol

from starlette.types import Message, Scope

WHOLE = "penstock.whole_body"
"""The ASGI extension by which it is told that the body has come already: nobody need wait for it."""

READ_AHEAD_BYTES = 64 * 1024
"""Of a body that nobody has asked for yet; then the client's bytes stay in the kernel."""

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_BODILESS = frozenset({204, 304})

Headers = Iterable[tuple[bytes, bytes]]


def head_of(status: int, headers: Headers) -> bytes:
    """Return an answer's head as it is sent."""
    return b"".join((_STATUS_LINES[status], *(b"%b: %b\r\n" % pair for pair in headers), b"\r\n"))


class Line(Protocol):
    """The connection, as far as an exchange needs it."""

    @property
    def date(self) -> bytes:
        """The time, as an answer tells it."""

    @property
    def stopping(self) -> bool:
        """No request follows this one, because the server ends."""

    def write(self, data: bytes) -> None:
        """Send, or drop what nobody can get any more."""

    async def writable(self) -> None:
        """Return once the client has taken enough of what was sent."""

    def hold_back(self, held: bool) -> None:
        """Read no more of the client, or read on."""

    def answered(self, *, keep: bool, whole: bool) -> None:
        """Go on with the next request, or end; `whole`: nothing of the last one is still to come."""


class Exchange:
    """Begun when the head of a request is there; the body may still come."""

    __slots__ = (
        "_chunked",
        "_chunks",
        "_continues",
        "_head",
        "_held",
        "_is_bodiless",
        "_is_old",
        "_keep",
        "_line",
        "_told",
        "_waiting",
        "gone",
        "over",
        "scope",
        "whole",
    )

    def __init__(self, line: Line, scope: Scope, *, keep: bool, continues: bool) -> None:
        self.scope = scope
        self.whole = False  # the body has ended
        self.gone = False  # nobody sends the rest, or nobody reads the answer
        self.over = False  # the answer has ended
        self._line = line
        self._keep = keep
        self._continues = continues  # the client waits to be told that it may send
        self._is_bodiless = scope["method"] == "HEAD"
        self._is_old = scope["http_version"] == "1.0"
        self._chunks: list[bytes] = []
        self._held = 0
        self._told = False  # the application knows that the body has ended
        self._waiting: asyncio.Future[None] | None = None
        self._head: bytes | None = None  # of an answer that has begun, until something of its body comes
        self._chunked = False

    def feed(self, data: bytes) -> None:
        """Take bytes of the body."""
        if self.over:
            return
        self._continues = False
        self._chunks.append(data)
        self._held += len(data)
        if self._waiting is not None and not self._waiting.done():
            self._wake()
        elif self._held > READ_AHEAD_BYTES:
            self._line.hold_back(True)

    def end(self) -> None:
        """Take note that the body has ended."""
        self.whole = True
        self._wake()

    def cut_off(self) -> None:
        """Take note that nothing more will come of the request, or that nobody is there for the answer."""
        self.gone = True
        self._wake()

    async def receive(self) -> Message:
        """Give all of the body that has come; wait for more of it; at last, for the end of the exchange."""
        while not self._chunks and not (self.whole and not self._told) and not self.gone and not self.over:
            if self._continues and not self.whole:
                self._continues = False
                self._line.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            waiting = self._waiting = asyncio.get_running_loop().create_future()
            try:
                await waiting
            finally:  # also if the application waits no longer: then what comes is held back
                if self._waiting is waiting:
                    self._waiting = None
        if not self._chunks and (self._told or not self.whole):
            return {"type": "http.disconnect"}
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks = []
        if self._held > READ_AHEAD_BYTES:
            self._line.hold_back(False)
        self._held = 0
        self._told = self.whole
        return {"type": "http.request", "body": body, "more_body": not self.whole}

    async def send(self, message: Message) -> None:
        """Send the answer. Head and body leave together where they come together."""
        if self.over:  # another request may have its turn
            return
        if message["type"] == "http.response.start":
            self._continues = False
            self._head = self._head_of(message["status"], message.get("headers", ()))
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._is_bodiless:
            body = b""
        elif self._chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
        if self._head is not None:
            self._head, body = None, self._head + body
        if body:
            self._line.write(body)
            await self._line.writable()
        if not more:
            self.finish()

    def finish(self) -> None:
        """End the exchange; the connection can only be kept if nothing of the request is still to come."""
        if not self.over:
            self.over = True
            self._wake()
            self._line.answered(keep=self._keep and self.whole, whole=self.whole)

    def fail(self) -> None:
        """End the exchange if the application has not: what was sent of the answer is no whole one."""
        self._keep = False
        self.finish()

    def _head_of(self, status: int, headers: Headers) -> bytes:
        self._is_bodiless = self._is_bodiless or status in _BODILESS
        bounded, says_close = status in _BODILESS, False
        parts = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]
        for name, value in headers:
            if b"\n" in value or b"\r" in value:
                raise ValueError(f"the header {name!r} has a line break in it")
            if name == b"content-length":
                bounded = True
            elif name == b"connection" and value.lower() == b"close":
                self._keep, says_close = False, True
            parts += (name, b": ", value, b"\r\n")
        if not bounded:
            self._chunked = not self._is_old and not self._is_bodiless
            self._keep = self._keep and not self._is_old
            if self._chunked:
                parts.append(b"transfer-encoding: chunked\r\n")
        self._keep = self._keep and not self._line.stopping
        if not self._keep and not says_close:
            parts.append(b"connection: close\r\n")
        elif self._is_old and self._keep:
            parts.append(b"connection: keep-alive\r\n")
        parts += (b"date: ", self._line.date, b"\r\n\r\n")
        return b"".join(parts)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
