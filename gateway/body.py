"""Reads a body within its caps: type, encoding, decompressed bytes, pace, and what the process holds."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Self

from gateway.encodings import DECODERS, Decoder, NotDecodable
from gateway.errors import (
    BODY_TOO_LARGE,
    BUSY,
    INVALID_ENCODING,
    REQUEST_TIMEOUT,
    STOPPING,
    UNSUPPORTED_ENCODING,
    UNSUPPORTED_MEDIA_TYPE,
)
from gateway.request import REST_BYTES_MAX, Request
from gateway.turns import Turn

FIRST_BYTE_S = 5.0
WINDOW_S = 10.0
WINDOW_BYTES_MIN = 32 * 1024 * 10
TOTAL_S = 120.0

_BROWSER_TYPES = frozenset({b"application/json", b"text/plain", b""})
_TYPES = frozenset({b"application/json"})


class Bodies:
    """The bodies that this process holds. More than `budget_bytes` at once are refused with 503."""

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self.held_bytes = 0
        self._reading: set[asyncio.Timeout] = set()
        self._stopping = False

    def hold(self) -> "Hold":
        """Begin to count a request's bytes."""
        return Hold(self)

    def stop(self) -> None:
        """End the reading of all bodies, now and later: the process is about to end."""
        self._stopping = True
        for limit in self._reading:
            limit.reschedule(0)

    async def read(
        self, request: Request, hold: "Hold", *, bytes_max: int, browser: bool, turn: Turn
    ) -> bytes:
        """Return the whole body, decompressed. Raises RequestRefused and ClientGone."""
        encoding = check_headers(request.headers, browser=browser)
        declared = request.headers.get(b"content-length", b"")
        if encoding == b"identity" and declared.isdigit() and int(declared) > bytes_max:
            raise BODY_TOO_LARGE.refuse(limit=bytes_max)
        if request.is_whole and encoding == b"identity":
            return await _take_whole(request, hold, bytes_max, turn)
        reading = _Reading(request, hold, bytes_max, turn, encoding)
        now = asyncio.get_running_loop().time
        pace = Pace(now())

        def came(size: int) -> None:
            if pace.came(size, now()):
                limit.reschedule(pace.deadline)

        try:
            async with asyncio.timeout_at(0 if self._stopping else pace.deadline) as limit:
                self._reading.add(limit)
                try:
                    return await reading.run(came)
                finally:
                    self._reading.discard(limit)
        except TimeoutError:
            request.closes = True
            raise (STOPPING if self._stopping else REQUEST_TIMEOUT).refuse() from None


class Hold:
    """The share of the budget that one request has, given back at the end of a `with` block."""

    __slots__ = ("_bodies", "_bytes")

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._bytes = 0

    def grow(self, size: int) -> None:
        """Hold more. Raises RequestRefused when the process holds enough."""
        if self._bodies.held_bytes + size > self._bodies.budget_bytes:
            raise BUSY.refuse()
        self._bodies.held_bytes += size
        self._bytes += size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bodies.held_bytes -= self._bytes
        self._bytes = 0


class Pace:
    """Until when more of a body must have come. Times are the event loop's.

    The first byte has 5 s. From then on every window of 10 s must bring 320 KiB, unless the body ends
    in it, and after 120 s there is no more waiting.
    """

    __slots__ = ("_ends", "_in_window", "_window_ends", "deadline")

    def __init__(self, now: float) -> None:
        self.deadline = now + FIRST_BYTE_S
        self._ends = now + TOTAL_S
        self._window_ends = 0.0
        self._in_window = 0

    def came(self, size: int, now: float) -> bool:
        """Count bytes; tell whether the deadline moved."""
        if not self._window_ends:
            self._window_ends = now + WINDOW_S
        while now >= self._window_ends:
            self._window_ends += WINDOW_S
            self._in_window = 0
        self._in_window += size
        met = self._in_window >= WINDOW_BYTES_MIN
        deadline = min(self._ends, self._window_ends + (WINDOW_S if met else 0))
        moved = deadline != self.deadline
        self.deadline = deadline
        return moved


async def _take_whole(request: Request, hold: Hold, bytes_max: int, turn: Turn) -> bytes:
    """Take a body that has come already, as it is: most are, and need no deadline and no decoder."""
    body = request.body = await request.read()
    turn.begin()
    if len(body) > bytes_max:
        raise BODY_TOO_LARGE.refuse(limit=bytes_max)
    hold.grow(len(body))
    return body


class _Reading:
    """One body on its way in."""

    __slots__ = ("_bytes_max", "_encoding", "_hold", "_parts", "_request", "_size", "_turn")

    def __init__(self, request: Request, hold: Hold, bytes_max: int, turn: Turn, encoding: bytes) -> None:
        self._request = request
        self._hold = hold
        self._bytes_max = bytes_max
        self._turn = turn
        self._encoding = encoding
        self._parts: list[bytes] = []
        self._size = 0

    async def run(self, came: Callable[[int], None]) -> bytes:
        """Read to the end; `came` is told the size of what came, while more is to come."""
        decoder = DECODERS[self._encoding]()
        sent = 0
        try:
            while self._request.unread:
                data = await self._request.read()
                self._turn.begin()
                if not data:
                    continue
                if self._request.unread:
                    came(len(data))
                sent += len(data)
                await self._take(decoder, data)
                if sent > self._bytes_max:  # no encoding makes sense that lengthens
                    raise BODY_TOO_LARGE.refuse(limit=self._bytes_max)
            await self._take(decoder, None)
        except NotDecodable:
            raise INVALID_ENCODING.refuse(encoding=self._encoding.decode()) from None
        finally:
            # Also of one that is not whole, where caps are small: an answer may quote from it.
            if not self._request.unread or self._bytes_max <= REST_BYTES_MAX:
                self._request.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        return self._request.body

    async def _take(self, decoder: Decoder, data: bytes | None) -> None:
        """Decode the next bytes, or with None the last ones."""
        if data is not None and self._encoding == b"zstd":
            self._hold.grow(len(data))  # it is kept until the end
        for piece in decoder.finish() if data is None else decoder.feed(data):
            room = self._bytes_max - self._size
            self._hold.grow(min(len(piece), room))
            self._parts.append(piece if len(piece) <= room else piece[:room])
            self._size += len(piece)
            if len(piece) > room:
                raise BODY_TOO_LARGE.refuse(limit=self._bytes_max)
            await self._turn.over()


def check_headers(headers: Mapping[bytes, bytes], *, browser: bool) -> bytes:
    """Return the body's encoding. Raises RequestRefused for a type or an encoding that is not taken here."""
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media_type not in (_BROWSER_TYPES if browser else _TYPES):
        raise UNSUPPORTED_MEDIA_TYPE.refuse()
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding not in DECODERS:
        raise UNSUPPORTED_ENCODING.refuse()
    return encoding
