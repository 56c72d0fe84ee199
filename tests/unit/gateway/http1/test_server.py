"""The server's end. That it serves, the other files here show."""

import asyncio

import pytest
from starlette.types import Receive, Scope, Send

from gateway.http1.connection import LINGER_TICKS
from tests.unit.gateway.http1.rig import (
    GET,
    GIVE_UP_S,
    Recorder,
    Served,
    answer,
    post,
    serve,
    statuses,
    until,
)


class Slow(Recorder):
    """Answers when it may."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        super().__init__(self._wait)

    async def _wait(self, scope: Scope) -> None:
        await self.may_end.wait()


async def ended(served: Served) -> None:
    async with asyncio.timeout(GIVE_UP_S):
        await served.serving


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, 413)


async def stop(served: Served) -> None:
    served.stop.set()
    await until(lambda: served.server.stopping)


async def test_at_the_end_connections_without_a_request_are_closed() -> None:
    async with serve(Recorder()) as served, served.client() as idle, served.client() as halfway:
        for connection in served.connections:
            if connection._ends["client"] == halfway.sock.getsockname():
                connection.data_received(b"GET / HT")
        await stop(served)
        assert (await idle.read_all(), await halfway.read_all()) == (b"", b"")
        await ended(served)
        assert served.malformed == 0


async def test_at_the_end_a_request_under_way_is_answered_and_no_other() -> None:
    async with serve(app := Slow()) as served, served.client(GET * 3) as client:
        await until(lambda: app.scopes)
        await stop(served)
        app.may_end.set()
        got = await client.read_all()
        assert (statuses(got), got.count(b"connection: close"), len(app.scopes)) == ([200], 1, 1)
        await until(lambda: served.connection._half_closed)
        client.sock.close()
        await ended(served)


async def test_requests_that_are_given_up_do_not_cost_the_last_answer() -> None:
    """A socket that is closed with bytes in it is reset, and what was sent may be lost on the way."""
    async with serve(app := Slow()) as served, served.client(GET * 2) as client:
        await until(lambda: app.scopes)
        await client.send(GET)
        await stop(served)
        app.may_end.set()
        await until(lambda: not served.server._tasks)
        await asyncio.sleep(0.01)
        assert statuses(await client.read_all()) == [200]


async def test_at_the_end_a_body_under_way_may_still_come() -> None:
    async with serve(app := Recorder()) as served, served.client(post(b"abc")[:-1]) as client:
        await until(lambda: app.scopes)
        await stop(served)
        await client.send(b"c")
        assert statuses(await client.read_all()) == [200]
        await ended(served)
        assert app.bodies == [b"abc"]


async def test_at_the_end_an_answer_that_promised_more_is_the_last() -> None:
    may_end = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await may_end.wait()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async with serve(app) as served, served.client(GET) as client:
        assert b"connection: close" not in await client.read(b"abc\r\n")
        await stop(served)
        may_end.set()
        assert await client.read_all() == b"0\r\n\r\n"
        await ended(served)


async def test_at_the_end_who_still_sends_gets_to_read_the_answer() -> None:
    async with serve(refuse) as served, served.client(post(bytes(2**20))[:-1]) as client:
        await until(lambda: served.connection._half_closed)
        await stop(served)
        assert not served.connection._transport.is_closing()
        assert statuses(await client.read_all()) == [413]
        served.pass_s(LINGER_TICKS)
        await ended(served)


async def test_at_the_end_a_connection_that_was_made_late_gets_one_answer() -> None:
    async with serve(app := Slow()) as served, served.client(GET) as first, served.client() as late:
        await until(lambda: app.scopes)
        served.server.stopping = True
        await late.send(GET)
        await until(lambda: len(app.scopes) == 2)
        app.may_end.set()
        assert b"connection: close" in await late.read_all()
        await first.read_all()


async def test_requests_that_take_too_long_are_given_up_before_what_they_use() -> None:
    order = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            order.append("request")

    serving = serve(app, grace_s=0.01, at_end=lambda: order.append("lifespan"))
    async with serving as served, served.client(GET) as client:
        await until(lambda: served.server._tasks)
        await stop(served)
        assert await client.read_all() == b""
        await ended(served)
    assert order == ["request", "lifespan"]


@pytest.mark.parametrize("answers", [True, False])
async def test_a_request_may_end_also_when_its_client_has_gone_or_has_its_answer(answers: bool) -> None:
    order = []
    may_end = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if answers:
            await answer(send, 200)
        await may_end.wait()
        order.append("request")

    async with serve(app, at_end=lambda: order.append("lifespan")) as served:
        async with served.client(GET) as client:
            await until(lambda: served.server._tasks)
            client.reset()
        await until(lambda: not served.connections)
        await stop(served)
        await asyncio.sleep(0.01)
        may_end.set()
        await ended(served)
    assert order == ["request", "lifespan"]
