"""Sends one request to a receiver that nobody here knows: bounded in time and bytes, and to public addresses.

The address is checked where the socket is made, which is after the name was resolved and right before it
is connected, so that no name can point elsewhere in between. The only file that calls out over HTTP.
"""

import asyncio
import contextlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from schemas.webhooks import (
    ID_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    UrlRefused,
    check_url,
    is_public,
    sign,
)
from workers.webhooks.schedule import Answer

TIMEOUT_S = 10.0
"""For all of it: the name, the connection, the request, the answer's head."""

DRAIN_S = 0.5
DRAIN_BYTES_MAX = 16 * 1024
"""What is read of an answer's body, and thrown away, so that the connection can be used again."""

NAMES_AT_ONCE = 256
"""A name server that hangs holds up a thread; more names than this wait for each other."""

_tried: ContextVar[list[bool]] = ContextVar("tried")
"""Of the request under way: for each address that was tried, whether it was allowed."""


class AddressRefused(OSError):
    """Nobody may be called at that address."""


class Sender:
    """Use as an async context manager."""

    def __init__(self, *, private_allowed: bool, timeout_s: float = TIMEOUT_S) -> None:
        self._private_allowed = private_allowed
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._threads = ThreadPoolExecutor(NAMES_AT_ONCE, thread_name_prefix="names")

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            resolver=_Names(self._threads), limit=0, socket_factory=self._make_socket, keepalive_timeout=15
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"User-Agent": "Penstock-Webhooks/1", "Content-Type": "application/json"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def send(self, url: str, secret: str, match_id: str, body: bytes) -> Answer:
        """Send a match and return how that ended. Raises nothing."""
        try:
            check_url(url, private_allowed=self._private_allowed)
        except UrlRefused as error:
            return Answer(0, f"the URL is refused: {error}", hopeless=True)
        timestamp_s = int(time.time())
        headers = {
            ID_HEADER: match_id,
            TIMESTAMP_HEADER: str(timestamp_s),
            SIGNATURE_HEADER: sign(secret, timestamp_s, body),
        }
        tried: list[bool] = []
        _tried.set(tried)
        try:
            return await self._post(URL(url, encoded=True), headers, body)
        except aiohttp.InvalidURL:
            return Answer(0, "the URL is refused: its host is not usable", hopeless=True)
        except TimeoutError:
            return Answer(0, f"no answer within {self._timeout.total:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if tried and not any(tried):
                return Answer(0, "its address is private, link-local, loopback or reserved", hopeless=True)
            # The type only: a message may repeat what the receiver sent, or the URL.
            return Answer(0, f"the request failed: {type(error).__name__}")

    async def _post(self, url: URL, headers: dict[str, str], body: bytes) -> Answer:
        async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            answer = Answer(response.status, retry_after_s=_seconds(response.headers.get("Retry-After", "")))
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                await asyncio.wait_for(response.content.read(DRAIN_BYTES_MAX), DRAIN_S)
            if not response.content.at_eof():
                response.close()
            return answer

    def _make_socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        host = str(address[0])
        allowed = self._private_allowed or is_public(host)
        _tried.get().append(allowed)
        if not allowed:
            raise AddressRefused("nobody may be called at that address")
        return socket.socket(family, kind, protocol)


class _Names(AbstractResolver):
    """Resolves in threads of its own: those of the process have other work."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name. Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, partial(_look_up, host, port, family))
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=of_family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for of_family, protocol, address in found
        ]

    async def close(self) -> None:
        """The threads are the sender's."""


def _look_up(host: str, port: int, family: int) -> list[tuple[int, int, tuple[object, ...]]]:
    found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
    # An address with a scope is a link's own: it would not survive as text.
    return [(f, protocol, a) for f, _, protocol, _, a in found if len(a) < 4 or not a[3]]


def _seconds(header: str) -> int:
    return int(header) if header.isascii() and header.isdigit() and len(header) < 10 else 0
