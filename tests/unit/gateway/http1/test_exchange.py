import asyncio
import socket
from contextlib import suppress
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.http1.exchange import READ_AHEAD_BYTES, WHOLE, Exchange
from tests.unit.gateway.http1.rig import (
    GET,
    Recorder,
    answer,
    get,
    part,
    post,
    read_body,
    serve,
    start,
    statuses,
    until,
)

LARGE = bytes(2**20)
EXPECT = b"Expect: 100-continue\r\n"


async def test_it_is_told_that_a_body_came_with_its_head() -> None:
    app = Recorder()
    async with serve(app) as served, served.client(post(b"abc") + post(b"abc")[:-1]) as client:
        await until(lambda: len(app.scopes) == 2)
        await client.send(b"c" + GET)
        await client.read(b"(?s)(200 OK.*){3}")
        assert [WHOLE in scope.get("extensions", {}) for scope in app.scopes] == [True, False, True]


async def test_a_client_that_waits_is_told_to_send_when_the_body_is_asked_for() -> None:
    async with serve(Recorder()) as served, served.client(post(b"abc", EXPECT)[:-3]) as client:
        assert await client.read(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"a")
        await until(lambda: not served.connection._current._chunks)  # type: ignore[union-attr]
        await client.send(b"bc")
        assert statuses(await client.read(b"\r\n\r\n/$")) == [200]


@pytest.mark.parametrize("came", [1, 3])
async def test_a_client_that_sends_already_is_not_told_to(came: int) -> None:
    app = Recorder()
    async with serve(app) as served, served.client(post(b"abc", EXPECT)[: came - 3 or None]) as client:
        await until(lambda: app.bodies or served.connection._current)
        await until(lambda: app.bodies or served.connection._current._waiting)  # type: ignore[union-attr]
        await client.send(b"abc"[came:])
        assert statuses(await client.read(b"\r\n\r\n/$")) == [200]


async def test_a_client_that_waits_is_refused_without_being_told_to_send() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(401, (b"content-length", b"0")))
        with suppress(TimeoutError):
            await asyncio.wait_for(receive(), 0.001)
        await send(part(b"", more=False))

    async with serve(app) as served, served.client(post(b"abc", EXPECT)[:-3]) as client:
        got = await client.read_all()
        assert statuses(got) == [401]
        assert b"connection: close" not in got


@pytest.mark.parametrize("leaves", [True, False])
async def test_after_the_body_comes_the_end_of_client_or_answer(leaves: bool) -> None:
    told = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        waiting: asyncio.Future[Message] = asyncio.ensure_future(receive())
        if not leaves:
            await answer(send, 200)
        told.append((await waiting)["type"])
        told.append((await receive())["type"])

    async with serve(app) as served, served.client(GET) as client:
        if leaves:
            await until(lambda: served.server._tasks)
            client.reset()
        await until(lambda: len(told) == 2)
        assert told == ["http.disconnect"] * 2


async def test_a_client_that_leaves_in_its_body_is_told_after_what_came() -> None:
    told: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while not told or told[-1]["type"] == "http.request":
            told.append(await receive())
        await answer(send, 200)

    async with serve(app) as served, served.client(post(b"abc")[:-1]) as client:
        await until(lambda: told)
        client.sock.close()
        await until(lambda: not served.connections and not served.server._tasks)
        assert told[-1] == {"type": "http.disconnect"}
        assert b"".join(each.get("body", b"") for each in told) == b"ab"


async def test_a_body_that_nobody_asks_for_stays_in_the_kernel() -> None:
    may_read = asyncio.Event()
    bodies = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await may_read.wait()
        bodies.append(await read_body(receive))
        await answer(send, 200)

    async with serve(app) as served, served.client(post(LARGE * 8)[: -len(LARGE) * 8]) as client:
        sending = asyncio.create_task(client.send(LARGE * 8))
        await until(lambda: not served.connection._transport.is_reading())
        await asyncio.sleep(0.01)
        assert READ_AHEAD_BYTES < served.connection._current._held < 2**20  # type: ignore[union-attr]
        may_read.set()
        await sending
        await client.read(b"200 OK")
        assert bodies == [LARGE * 8]


async def test_a_body_that_is_waited_for_no_longer_stays_there_too() -> None:
    may_end = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(receive(), 0.001)
        await may_end.wait()

    async with serve(app) as served, served.client(post(LARGE * 8)[: -len(LARGE) * 8]) as client:
        await asyncio.sleep(0.01)
        sending = asyncio.create_task(client.send(LARGE * 8))
        await until(lambda: not served.connection._transport.is_reading())
        may_end.set()
        await sending
        assert await client.read_all() == b""


async def test_who_asks_in_the_place_of_another_is_told() -> None:
    bodies = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        first: asyncio.Future[Message] = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        first.cancel()
        bodies.append(await read_body(receive))
        await answer(send, 200)

    async with serve(app) as served, served.client(post(b"abc")[:-3]) as client:
        await until(lambda: served.connection._current and served.connection._current._waiting)
        await client.send(b"abc")
        await client.read(b"200 OK")
        assert bodies == [b"abc"]


async def test_an_application_that_is_cancelled_ends_the_connection() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await receive()

    async with serve(app) as served, served.client(GET) as client:
        await until(lambda: served.connection._current and served.connection._current._told)
        (task,) = served.server._tasks
        task.cancel()
        assert await client.read_all() == b""


async def test_what_is_sent_after_the_end_of_an_answer_is_nothing_of_the_next() -> None:
    late = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/1":
            await answer(send, 200, b"first")
            await send(part(b"late"))
            await answer(send, 500, b"late")
            late.set()
        await late.wait()
        await answer(send, 200, b"second")

    async with serve(app) as served:
        got = await served.talk(get(b"/1") + get(b"/2"))
        assert statuses(got) == [200, 200]
        assert b"late" not in got


async def test_an_application_may_lose_its_patience_with_a_client_that_does_not_read() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, (b"content-length", b"%d" % (len(LARGE) + 3))))
        with suppress(TimeoutError):
            await asyncio.wait_for(send(part(LARGE)), 0.001)
        await send(part(b"end", more=False))

    async with serve(app) as served, served.client(GET, receives_bytes=4096) as client:
        await until(lambda: served.connection._writable is not None)
        await asyncio.sleep(0.01)
        client.sock.shutdown(socket.SHUT_WR)
        assert (await client.read_all()).endswith(b"\0end")


async def test_a_client_that_leaves_while_it_is_answered_leaves_nothing_behind() -> None:
    sent = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        for _ in range(3):
            await send(part(LARGE))
            sent.append(1)

    async with serve(app) as served, served.client(GET, receives_bytes=4096) as client:
        await until(lambda: served.connection._writable is not None)
        client.sock.close()
        await until(lambda: not served.connections and not served.server._tasks)
        assert len(sent) == 3


async def test_a_client_that_has_left_unnoticed_is_let_go_without_an_answer() -> None:
    may_end = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await may_end.wait()

    async with serve(app) as served, served.client(post(LARGE)[:-1]) as client:
        await until(lambda: not served.connection._transport.is_reading())
        client.reset()
        may_end.set()
        await until(lambda: not served.connections and not served.server._tasks)


async def test_what_comes_before_the_one_who_waits_runs_is_held_back() -> None:
    """A loop may hand over many reads in one turn: only the first has somebody who takes it."""
    held: list[bool] = []

    class Line:
        """Notes what is held back."""

        date, stopping = b"", False

        def hold_back(self, back: bool) -> None:
            held.append(back)

    scope = {"method": "POST", "http_version": "1.1"}
    exchange = Exchange(Line(), scope, keep=True, continues=False)  # type: ignore[arg-type]
    receiving = asyncio.create_task(exchange.receive())
    await asyncio.sleep(0)
    exchange.feed(bytes(READ_AHEAD_BYTES))
    assert held == []
    exchange.feed(b"x")
    assert held == [True]
    message = await receiving
    assert (len(message["body"]), held) == (READ_AHEAD_BYTES + 1, [True, False])
