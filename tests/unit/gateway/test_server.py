"""The server's beginning and end, in the test's own process."""

import asyncio
import http.client
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway import server
from gateway.server import bind, serve
from schemas.settings import SettingsError
from tests.unit.gateway.rig import BATCH, INSTALL, RELO, Rig, batch


def ask(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        line.request(method, path, body, RELO)
        answer = line.getresponse()
        return answer.status, answer.read()
    finally:
        line.close()


@asynccontextmanager
async def served(rig: Rig, sock: socket.socket) -> AsyncIterator["asyncio.Task[None]"]:
    """Serve until the block ends, or until the test has sent SIGTERM."""
    port = sock.getsockname()[1]
    serving = asyncio.create_task(serve(rig.app, rig.settings, sock=sock))
    while not rig.operations.health.ready or (await asyncio.to_thread(ask, port, "GET", "/ready"))[0] != 200:
        assert not serving.done()
        await asyncio.sleep(0.01)
    try:
        yield serving
    finally:
        if not serving.done():
            os.kill(os.getpid(), signal.SIGTERM)
            await serving


SERVERS = pytest.mark.parametrize("name", ["hypercorn", "builtin"])


@SERVERS
async def test_a_stop_signal_ends_it_and_no_event_is_lost(name: str) -> None:
    rig = Rig(server=name)
    sock = bind("127.0.0.1", 0)
    port = sock.getsockname()[1]
    async with served(rig, sock) as serving:
        sent = json.dumps(batch(INSTALL)).encode()
        assert (await asyncio.to_thread(ask, port, "POST", BATCH, sent))[0] == 200
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(serving, 10)
    assert len(rig.accepted) == 1
    with pytest.raises(ConnectionRefusedError):
        ask(port, "GET", "/live")


@SERVERS
async def test_an_upload_under_way_is_answered_before_the_end(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(server, "READ_ON_S", 0.1)
    rig = Rig(server=name)
    sock = bind("127.0.0.1", 0)
    port = sock.getsockname()[1]
    async with served(rig, sock) as serving:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = "".join(f"{name}: {value}\r\n" for name, value in RELO.items())
        writer.write(f"POST {BATCH} HTTP/1.1\r\nHost: x\r\n{head}Content-Length: 999\r\n\r\n{{".encode())
        await asyncio.sleep(0.1)
        os.kill(os.getpid(), signal.SIGTERM)
        got = await asyncio.wait_for(reader.read(), 10)
        await asyncio.wait_for(serving, 10)
        writer.close()
    assert got.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 1" in got.lower()
    assert not rig.operations.health.ready


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        rig = Rig(port=port)
        with pytest.raises(SettingsError, match=f"port {port}"):
            await serve(rig.app, rig.settings)


def test_several_may_share_a_port() -> None:
    with bind("127.0.0.1", 0, reuse_port=True) as first:
        port = first.getsockname()[1]
        with bind("127.0.0.1", port, reuse_port=True) as second:
            assert second.getsockname()[1] == port
        with pytest.raises(SettingsError):
            bind("127.0.0.1", port)
