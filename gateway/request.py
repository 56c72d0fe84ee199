"""One HTTP request as the gateway sees it, and the manners with which it is answered."""

import asyncio
import math
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Message, Receive, Scope, Send

from dialects import bodies
from dialects.base import Problem, Reply
from gateway.errors import AMBIGUOUS_LENGTH, HEADERS_TOO_LARGE, ClientGone, Headers
from gateway.http1.exchange import WHOLE
from gateway.metrics import OTHER
from schemas.requests import request_id

HEADER_BYTES_MAX = 16 * 1024
HEADER_FIELDS_MAX = 100
USER_AGENT_BYTES_MAX = 1024

REST_BYTES_MAX = 64 * 1024  # of a body that nobody asked for: read on, so that the connection can be kept,
REST_WAIT_S = 0.5  # but only for so long
LINGER_S = 5.0  # for which a refused upload is read on after its answer, so that the client gets to see it

_KEY = "penstock.request"
Words = Callable[[Problem, bytes], Reply]

_NO_PARAMS: Mapping[str, Any] = {}


class Request:
    """Wraps an ASGI request. Repeated headers are joined by ", ", which is what HTTP says they mean.

    `ends_at_length`: to this server an answer is over with the last byte of its Content-Length, and then
    it reads no more of the request, whatever the application says.
    """

    __slots__ = (
        "_ends_at_length",
        "_header_bytes",
        "_header_fields",
        "_left_bytes",
        "_query",
        "_receive",
        "_send",
        "body",
        "closes",
        "endpoint",
        "headers",
        "id",
        "ip",
        "key",
        "left",
        "method",
        "scope",
        "status",
        "unread",
        "words",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, ends_at_length: bool = False) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.headers: dict[bytes, bytes] = {}
        self._header_bytes = len(scope["path"]) + len(scope["query_string"])
        self._header_fields = len(scope["headers"])
        self._receive = receive
        self._send = send
        self._ends_at_length = ends_at_length
        self._query: Mapping[str, str] | None = None
        self._read_headers(scope["headers"])
        length = self.headers.get(b"content-length", b"")
        # Of the body, where its length was given.
        self._left_bytes = int(length) if len(length) < 19 and length.isdigit() else None
        self.id = request_id(self.headers.get(b"x-request-id"))
        self.endpoint = OTHER
        self.ip = ""  # the client's, as far as proxies are trusted
        self.key: str | None = None  # of idempotency
        self.body = b""  # what was read of it, decompressed
        self.left: Headers = ()  # what the rate limits have left, for every answer
        self.unread = True  # the client may still be sending
        self.closes = False  # the connection ends with the answer, and nothing more is read of it
        self.status = 0  # of the answer, once it has begun
        self.words: Words = bodies.refuse  # in which a refusal is told, once it is known who does
        scope[_KEY] = self

    @staticmethod
    def of(scope: Scope) -> "Request":
        """Return the request that was made for this scope."""
        request: Request = scope[_KEY]
        return request

    def let_go(self) -> None:
        """End the request: it and its scope know each other, and its body would wait for the collector."""
        del self.scope[_KEY]

    def _read_headers(self, pairs: list[tuple[bytes, bytes]]) -> None:
        headers = self.headers
        size = self._header_bytes
        for name, value in pairs:
            size += len(name) + len(value) + 4  # ": " and the line's end
            headers[name] = headers[name] + b", " + value if name in headers else value
        self._header_bytes = size

    def check_headers(self) -> None:
        """Raise RequestRefused for too many or too large headers, and for a length given twice."""
        if self._header_bytes > HEADER_BYTES_MAX or self._header_fields > HEADER_FIELDS_MAX:
            raise HEADERS_TOO_LARGE.refuse(fields=HEADER_FIELDS_MAX, kib=HEADER_BYTES_MAX // 1024)
        if b"transfer-encoding" in self.headers and b"content-length" in self.headers:
            raise AMBIGUOUS_LENGTH.refuse()

    @property
    def query(self) -> Mapping[str, str]:
        """The query's fields, all of them: a switch that is overlooked would write what was to be tried."""
        if self._query is None:
            text = self.scope["query_string"].decode("latin-1")
            self._query = dict(parse_qsl(text, keep_blank_values=True))
        return self._query

    def asks_for(self, switch: str) -> bool:
        """Tell whether the query turns something on: `?dry_run=1`."""
        return bool(self.scope["query_string"]) and self.query.get(switch) in {"1", "true"}

    @property
    def user_agent(self) -> str:
        """What the client calls itself."""
        return self.headers.get(b"user-agent", b"")[:USER_AGENT_BYTES_MAX].decode("utf-8", "replace")

    @property
    def sent_at(self) -> int | None:
        """When the client says that it sent the request, in Unix ms, if its Date header can be read."""
        date = self.headers.get(b"date")
        if date is None:
            return None
        try:
            return int(parsedate_to_datetime(date.decode("latin-1")).timestamp() * 1000)
        except (ValueError, OverflowError):
            return None

    @property
    def path(self) -> str:
        """The path as sent, for people to read."""
        path: str = self.scope["path"]
        return path

    @property
    def path_params(self) -> Mapping[str, Any]:
        """What stands in the path for parameters; none where the path has none."""
        found: Mapping[str, Any] = self.scope.get("path_params", _NO_PARAMS)
        return found

    @property
    def is_whole(self) -> bool:
        """Whether the server says that the whole body has come: none of it need be waited for."""
        return WHOLE in self.scope.get("extensions", _NO_PARAMS)

    @property
    def connection(self) -> str:
        """The address at the other end; "" where there is none (a Unix socket)."""
        client = self.scope.get("client")
        return client[0] if client else ""

    async def receive(self) -> Message:
        """Pass a message on, and note whether more will come."""
        message = await self._receive()
        self.unread = message["type"] == "http.request" and message.get("more_body", False)
        if self.unread and self._left_bytes is not None:
            # Some servers say with a message of its own that nothing more comes; the length has told already.
            self._left_bytes -= len(message.get("body", b""))
            self.unread = self._left_bytes > 0
        return message

    async def read(self) -> bytes:
        """Return the next bytes of the body; `unread` turns false with the last. Raises ClientGone."""
        message = await self.receive()
        if message["type"] != "http.request":
            raise ClientGone
        body: bytes = message.get("body", b"")
        return body

    async def send(self, message: Message) -> None:
        """Pass an answer on, with the request's id; see to what the client is still sending."""
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif self.unread and not message.get("more_body", False):
            await self._end_early(message)
        else:
            await self._send(message)

    async def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Send a whole answer."""
        if status != 204:
            headers.append((b"content-length", b"%d" % len(body)))
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    async def read_rest(self) -> None:
        """Read the end of a small body that nobody asked for, so that the connection can be kept.

        A body of which nothing was read yet is kept as it was sent, for the words of a refusal.
        """
        if not self.unread or self.closes:
            return
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(REST_WAIT_S):
                await self._read_on(parts.append, REST_BYTES_MAX)
        except TimeoutError:
            pass  # it is slow or large: the connection ends with the answer
        self.body = self.body or b"".join(parts)

    async def _begin(self, message: Message) -> None:
        await self.read_rest()
        headers: list[Any] = [*message["headers"], (b"x-request-id", self.id.encode("ascii"))]
        if self.unread and self._ends_at_length:
            headers = [(name, value) for name, value in headers if name != b"content-length"]
        if (self.unread or self.closes) and self.scope["http_version"].startswith("1"):
            headers.append((b"connection", b"close"))
        self.status = message["status"]
        await self._send({**message, "headers": headers})

    async def _end_early(self, message: Message) -> None:
        """End an answer whose request is not at its end.

        A server that closes while bytes come in makes the kernel reset the connection, and the client
        never reads why. And Hypercorn waits for the application to take what it has queued, for ever.
        """
        await self._send({**message, "more_body": True})
        reading = asyncio.create_task(self._read_on(_discard))
        if not self.closes:
            await asyncio.wait({reading}, timeout=LINGER_S)
        try:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            reading.cancel()

    async def _read_on(self, take: Callable[[bytes], None], bytes_max: float = math.inf) -> None:
        try:
            while self.unread and bytes_max > 0:
                data = await self.read()
                bytes_max -= len(data)
                take(data)
        except ClientGone:
            pass  # nobody is left to answer


def _discard(data: bytes) -> None:
    """Take bytes that nobody wants."""
