"""The server in the test's own loop, with small applications, and clients that are raw sockets."""

import asyncio
import gc
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http1.connection import Connection
from gateway.http1.server import Server

GIVE_UP_S = 10.0
"""What has not come by then does not come: a failure, which is all that time decides here."""

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Client:
    """A socket of which nothing is put right on the way."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        async with asyncio.timeout(GIVE_UP_S):
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def read(self, pattern: bytes) -> bytes:
        """Read until the pattern has come."""
        got = b""
        async with asyncio.timeout(GIVE_UP_S):
            while not re.search(pattern, got):
                data = await asyncio.get_running_loop().sock_recv(self.sock, 65_536)
                assert data, f"the end came after {got[-200:]!r}"
                got += data
        return got

    async def read_all(self) -> bytes:
        """Read until the server ends the connection in good order."""
        got = b""
        async with asyncio.timeout(GIVE_UP_S):
            while data := await asyncio.get_running_loop().sock_recv(self.sock, 65_536):
                got += data
        return got

    def reset(self) -> None:
        """Go at once, which is not to say that nothing more will be sent."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Served:
    """The running server."""

    def __init__(self, app: ASGIApp, grace_s: float, at_end: Callable[[], None]) -> None:
        @asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            yield
            at_end()

        self.app = Starlette(lifespan=lifespan)
        self.app.middleware_stack = app
        self.malformed = 0
        self.server = Server(self.app, self._count)
        self.stop = asyncio.Event()
        self._sock = socket.create_server(("127.0.0.1", 0))
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)  # the rest waits in the server
        self.serving = asyncio.create_task(
            self.server.serve(self._sock, self.stop.wait, backlog=100, grace_s=grace_s)
        )

    def _count(self) -> None:
        self.malformed += 1

    @property
    def connections(self) -> set[Connection]:
        return self.server._connections

    @property
    def connection(self) -> Connection:
        """The only one."""
        (one,) = self.connections
        return one

    @asynccontextmanager
    async def client(self, sent: bytes = b"", *, receives_bytes: int = 0) -> AsyncIterator[Client]:
        """Connect; `receives_bytes`: what the kernel takes of an answer that the client does not read."""
        with socket.socket() as sock:
            if receives_bytes:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives_bytes)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, self._sock.getsockname())
            here = sock.getsockname()
            await until(lambda: here in [each._ends["client"] for each in self.connections])
            client = Client(sock)
            await client.send(sent)
            yield client

    async def talk(self, sent: bytes, *, half_close: bool = True) -> bytes:
        """Send it all on a connection of its own; return all that comes."""
        async with self.client(sent) as client:
            if half_close:
                client.sock.shutdown(socket.SHUT_WR)
            return await client.read_all()

    def pass_s(self, seconds: int) -> None:
        """Let time pass, as far as the server knows."""
        self.server.tick += seconds
        self.server.end_overdue()


@asynccontextmanager
async def serve(
    app: ASGIApp, *, grace_s: float = 3 * GIVE_UP_S, at_end: Callable[[], None] = lambda: None
) -> AsyncIterator[Served]:
    """Serve until the block ends. Nothing may have gone wrong in the loop by then."""
    with nothing_wrong():
        served = Served(app, grace_s, at_end)
        try:
            yield served
        finally:
            served.stop.set()
            for connection in served.connections:
                connection._transport.abort()
            async with asyncio.timeout(GIVE_UP_S):
                await served.serving


@contextmanager
def nothing_wrong() -> Iterator[None]:
    """Fail where an exception reaches the loop, also one that nobody has fetched."""
    wrong: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: wrong.append(context))
    yield
    gc.collect()
    assert wrong == []


async def until(condition: Callable[[], object]) -> None:
    """Wait for it."""
    async with asyncio.timeout(GIVE_UP_S):
        while not condition():
            await asyncio.sleep(0.001)


class Recorder:
    """An application that reads the body and says OK, and remembers what it was asked."""

    def __init__(self, before: Callable[[Scope], Awaitable[None]] | None = None) -> None:
        self.scopes: list[Scope] = []
        self.bodies: list[bytes] = []
        self.cut_off = 0
        self._before = before

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if self._before is not None:
            await self._before(scope)
        body = await read_body(receive)
        if body is None:
            self.cut_off += 1
            await answer(send, 400)
            return
        self.bodies.append(body)
        await answer(send, 200, scope["path"].encode())

    @property
    def paths(self) -> list[str]:
        return [scope["path"] for scope in self.scopes]

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Those of the last request."""
        return dict(self.scopes[-1]["headers"])


async def read_body(receive: Receive) -> bytes | None:
    """Return the whole body, or None if it does not come."""
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message["body"]
        if not message["more_body"]:
            return body


async def answer(send: Send, status: int, body: bytes = b"", headers: tuple[Any, ...] = ()) -> None:
    """Send a whole answer."""
    headers = (*headers, (b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


def part(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


def statuses(got: bytes) -> list[int]:
    """Return those of all answers."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", got)]


def get(path: bytes, extra: bytes = b"") -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: x\r\n%b\r\n" % (path, extra)


def post(body: bytes, extra: bytes = b"", path: bytes = b"/") -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n"
    return head % (path, extra, len(body)) + body
