import asyncio
import gc
import socket
import weakref
from typing import Any

import pytest
from starlette.types import Scope

from gateway.http1 import connection
from gateway.http1.connection import Connection
from tests.unit.gateway.http1.rig import GET, Recorder, get, post, serve, statuses, until

CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA\x00: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"get / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT /a HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\na",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\na",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_refused_and_nothing_after_it_is_served(noise: bytes) -> None:
    app = Recorder()
    async with serve(app) as served:
        got = await served.talk(noise + GET)
        assert (statuses(got), app.scopes, served.malformed) == ([400], [], 1)
        assert b"connection: close" in got


@pytest.mark.parametrize(
    "body",
    [
        b"1\na\n0\n\n",
        b"1\r\nab0\r\n\r\n",
        b"1 \r\na\r\n0\r\n\r\n",
        b"0x1\r\na\r\n0\r\n\r\n",
        b"-1\r\na\r\n0\r\n\r\n",
        b"FFFFFFFFFFFFFFFFF\r\na\r\n0\r\n\r\n",
        b"1;a\nb\r\na\r\n0\r\n\r\n",
        b"1\r\na\r\n0\r\nContent-Length: 3\r\n\r\n",
        b"1\r\na\r\n0\r\nA: b\r\n c\r\n\r\n",
    ],
)
async def test_a_body_in_wrong_chunks_is_no_body_and_nothing_after_it_is_served(body: bytes) -> None:
    app = Recorder()
    async with serve(app) as served:
        assert statuses(await served.talk(CHUNKED + body + GET)) == [400]
        assert (app.cut_off, app.bodies, len(app.scopes)) == (1, [], 1)


async def test_trailers_and_extensions_are_nothing_of_the_next_request() -> None:
    app = Recorder()
    async with serve(app) as served:
        body = b"3;a=b\r\nabc\r\n0\r\nAuthorization: Bearer a\r\nX-Last: a\r\n\r\n"
        assert statuses(await served.talk(CHUNKED + body + GET)) == [200, 200]
        assert (app.bodies, app.headers) == ([b"abc", b""], {b"host": b"x"})


async def test_white_space_around_a_value_is_nothing_of_it() -> None:
    app = Recorder()
    async with serve(app) as served:
        await served.talk(get(b"/", b"X-A: \t a b \t \r\nX-B:\r\n"))
        assert app.headers == {b"host": b"x", b"x-a": b"a b", b"x-b": b""}


async def test_it_does_not_matter_in_which_pieces_a_request_comes() -> None:
    app = Recorder()
    async with serve(app) as served, served.client() as client:
        sent = post(b"abc", b"X-A: b\r\n", b"/a?b") + CHUNKED + b"3\r\nabc\r\n0\r\n\r\n"
        for at in range(len(sent)):
            served.connection.data_received(sent[at : at + 1])
            await asyncio.sleep(0)
        await client.read(b"200 OK(?s:.*)200 OK")
        assert app.bodies == [b"abc", b"abc"]
        assert app.scopes[0]["headers"] == [(b"host", b"x"), (b"x-a", b"b"), (b"content-length", b"3")]


async def test_an_address_is_host_and_port() -> None:
    class Transport:
        def get_extra_info(self, name: str) -> Any:
            return {"peername": ("::1", 4, 0, 0), "sockname": ""}[name]

    async with serve(Recorder()) as served:
        made = Connection(served.server)
        made.connection_made(Transport())  # type: ignore[arg-type]
        served.server.lost(made)
        assert made._ends == {"client": ("::1", 4), "server": None}


async def test_one_request_is_served_at_a_time_in_the_order_in_which_they_came() -> None:
    may_end = asyncio.Event()

    async def wait(scope: Scope) -> None:
        await may_end.wait()

    app = Recorder(wait)
    async with (
        serve(app) as served,
        served.client(get(b"/1") + post(b"abc", path=b"/2") + get(b"/3")) as client,
    ):
        await until(lambda: app.scopes)
        await asyncio.sleep(0.01)
        assert app.paths == ["/1"]
        may_end.set()
        got = await client.read(b"/3$")
        assert (statuses(got), app.paths, app.bodies) == ([200] * 3, ["/1", "/2", "/3"], [b"", b"abc", b""])


async def test_while_requests_wait_no_more_is_read() -> None:
    may_end = asyncio.Event()

    async def wait(scope: Scope) -> None:
        await may_end.wait()

    app = Recorder(wait)
    async with serve(app) as served, served.client(GET * 3) as client:
        await until(lambda: app.scopes)
        assert not served.connection._transport.is_reading()
        await client.send(GET)
        may_end.set()
        client.sock.shutdown(socket.SHUT_WR)
        assert statuses(await client.read_all()) == [200] * 4


async def test_more_requests_than_may_wait_end_the_connection_after_those_that_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "PIPELINED_MAX", 3)
    app = Recorder()
    async with serve(app) as served:
        got = await served.talk(GET * 4, half_close=False)
        assert (statuses(got), len(app.scopes), served.malformed) == ([200] * 3, 3, 0)
        assert got.count(b"connection: close") == 1
        assert statuses(await served.talk(GET * 2)) == [200] * 2


@pytest.mark.parametrize(("fields", "expected"), [(3, []), (4, [431])])
async def test_fields_of_a_head_without_end_are_bounded(
    monkeypatch: pytest.MonkeyPatch, fields: int, expected: list[int]
) -> None:
    monkeypatch.setattr(connection, "HEADER_FIELDS_MAX", 2)
    app = Recorder()
    async with serve(app) as served, served.client(GET[:-2] + b"A: b\r\n" * (fields - 1)) as client:
        await until(lambda: served.connection._in_head or served.malformed)
        if not expected:
            await client.send(b"\r\n")
            expected = [200]
        client.sock.shutdown(socket.SHUT_WR)
        assert statuses(await client.read_all()) == expected


@pytest.mark.parametrize("begun", [b"GET /", GET[:-2] + b"X: ", CHUNKED + b"1;a", CHUNKED + b"0\r\nX: "])
async def test_bytes_that_lead_to_nothing_are_bounded(begun: bytes) -> None:
    app = Recorder()
    async with serve(app) as served, served.client(begun) as client:
        await until(lambda: served.connection._in_head or app.scopes)
        await client.send(b"a" * (connection.FRUITLESS_BYTES_MAX + 1))
        assert statuses(await client.read_all()) == [400 if begun.startswith(CHUNKED) else 431]
        assert app.cut_off == begun.startswith(CHUNKED)


async def test_a_request_with_an_upgrade_is_served_whole_and_the_connection_kept() -> None:
    app = Recorder()
    async with serve(app) as served:
        sent = (
            post(b"abc", UPGRADE)
            + CHUNKED[:-2]
            + UPGRADE
            + b"\r\n3\r\nabc\r\n0\r\n\r\n"
            + get(b"/a", UPGRADE)
        )
        got = await served.talk(sent + post(b"end"))
        assert (statuses(got), app.bodies) == ([200] * 4, [b"abc", b"abc", b"", b"end"])
        assert b"upgrade" not in dict(app.scopes[0]["headers"])


async def test_the_body_of_a_request_with_an_upgrade_may_come_later() -> None:
    app = Recorder()
    async with serve(app) as served, served.client(post(b"abc", UPGRADE)[:-3]) as client:
        await until(lambda: app.scopes)
        await client.send(b"abc")
        await client.read(b"200 OK")
        assert app.bodies == [b"abc"]


@pytest.mark.parametrize(
    ("extra", "kept"),
    [(b"", False), (b"Connection: keep-alive\r\n", True), (b"Connection: close\r\n", False)],
)
async def test_http_1_0_keeps_a_connection_only_where_it_is_asked_to(extra: bytes, kept: bool) -> None:
    async with serve(Recorder()) as served, served.client(b"GET /a HTTP/1.0\r\n" + extra + b"\r\n") as client:
        got = await client.read(b"/a$")
        assert (b"connection: keep-alive" in got, b"connection: close" in got) == (kept, not kept)
        if kept:
            await client.send(GET)
            assert statuses(await client.read(b"\r\n/$")) == [200]
        else:
            assert await client.read_all() == b""


async def test_what_follows_the_last_request_is_not_served_and_does_not_cost_its_answer() -> None:
    app = Recorder()
    async with serve(app) as served, served.client(get(b"/a", b"Connection: close\r\n") + GET) as client:
        got = await client.read(b"/a$")
        await until(lambda: not served.server._tasks)
        assert not served.connection._transport.is_closing()
        await client.send(GET * 1_000)
        assert (statuses(got), await client.read_all(), app.paths) == ([200], b"", ["/a"])


async def test_who_sends_no_more_gets_all_answers() -> None:
    app = Recorder()
    async with serve(app) as served:
        assert statuses(await served.talk(GET * 3)) == [200] * 3


async def test_half_a_body_is_told_to_the_application_as_the_end() -> None:
    app = Recorder()
    async with serve(app) as served:
        assert statuses(await served.talk(GET + post(b"abc")[:-1])) == [200, 400]
        assert (app.cut_off, app.bodies) == (1, [b""])


@pytest.mark.parametrize("half", [b"P", b"POST ", b"POST /", b"POST / HTTP/1.1\r\nHo"])
async def test_half_a_head_is_refused_after_the_answers_before_it(half: bytes) -> None:
    async with serve(Recorder()) as served:
        assert statuses(await served.talk(GET + half)) == [200, 400]
        assert served.malformed == 1


async def test_who_says_nothing_is_told_nothing() -> None:
    async with serve(Recorder()) as served:
        assert await served.talk(b"\r\n") == b""
        assert served.malformed == 0


async def test_a_connection_that_has_ended_waits_for_no_collector() -> None:
    may_end = asyncio.Event()

    async def wait(scope: Scope) -> None:
        await may_end.wait()

    gc.collect()
    gc.disable()
    try:
        async with serve(Recorder(wait)) as served:
            async with served.client(GET + post(b"abc")[:-1]) as client:
                await until(lambda: served.server._tasks)
                gone = weakref.ref(served.connection)
                client.sock.shutdown(socket.SHUT_RDWR)
            served.connection._transport.abort()
            await until(lambda: not served.connections)
            may_end.set()
            await until(lambda: gone() is None)
    finally:
        gc.enable()
