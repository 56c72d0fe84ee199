import asyncio

import pytest
from starlette.types import Receive, Scope, Send

from gateway.http1.connection import HEAD_TICKS, IDLE_TICKS, LINGER_TICKS, WRITE_TICKS
from tests.unit.gateway.http1.rig import GET, Recorder, answer, get, post, serve, statuses, until

LARGE = bytes(2**20)
UNPAUSED = 2**30


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, 200, LARGE)


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer without a look at the body."""
    await answer(send, 413)


@pytest.mark.parametrize("begun", [b"", b"\r\n", b"P", b"POST ", b"POST /a", GET[:-1]])
async def test_a_head_has_its_time_from_the_beginning_of_the_connection(begun: bytes) -> None:
    async with serve(Recorder()) as served, served.client() as client:
        served.connection.data_received(begun)
        served.pass_s(HEAD_TICKS - 1)
        assert not served.connection._transport.is_closing()
        served.pass_s(1)
        assert await client.read_all() == b""


async def test_the_time_of_a_head_is_not_made_longer_by_more_of_it() -> None:
    async with serve(Recorder()) as served, served.client() as client:
        for byte in b"\r\nPOS":
            served.connection.data_received(bytes([byte]))
            served.pass_s(1)
        served.connection.data_received(b"T")
        ends_at = served.connection.ends_at
        served.connection.data_received(b" / HTTP/1.1\r\nHost: ")
        assert served.connection.ends_at == ends_at
        served.pass_s(HEAD_TICKS)
        assert await client.read_all() == b""


@pytest.mark.parametrize("begun", [b"P", b"POST /a", GET[:-1]])
async def test_a_head_that_began_during_an_answer_has_its_time_from_then(begun: bytes) -> None:
    async with serve(Recorder()) as served, served.client(GET + begun) as client:
        await client.read(b"200 OK")
        await until(lambda: served.connection._current is None)
        served.pass_s(HEAD_TICKS - 1)
        assert not served.connection._transport.is_closing()
        served.pass_s(1)
        assert statuses(await client.read_all()) == []


async def test_a_connection_is_kept_for_its_time_and_no_longer_for_blank_lines() -> None:
    async with serve(Recorder()) as served, served.client(GET) as client:
        await client.read(b"200 OK")
        await until(lambda: served.connection._current is None)
        served.pass_s(IDLE_TICKS - 1)
        assert not served.connection._transport.is_closing()
        served.connection.data_received(b"\r\n")
        served.pass_s(1)
        await client.read_all()
        await until(lambda: not served.connections)


async def test_after_a_pause_a_head_has_its_time() -> None:
    async with serve(Recorder()) as served, served.client(GET) as client:
        await client.read(b"200 OK")
        await until(lambda: served.connection._current is None)
        served.connection.data_received(b"P")
        served.pass_s(HEAD_TICKS)
        await client.read_all()


@pytest.mark.parametrize("sent", [GET, post(b"abc")[:-1]])
async def test_a_request_under_way_has_the_time_that_the_application_gives_it(sent: bytes) -> None:
    may_end = asyncio.Event()

    async def wait(scope: Scope) -> None:
        await may_end.wait()

    async with serve(app := Recorder(wait)) as served, served.client(sent) as client:
        await until(lambda: app.scopes)
        served.pass_s(100_000)
        may_end.set()
        await client.send(b"c")
        await client.read(b"200 OK")


async def test_who_does_not_read_its_answer_is_cut_off_and_the_application_goes_on() -> None:
    async with serve(large) as served, served.client(GET, receives_bytes=4096) as client:
        await until(lambda: served.connection._writable is not None)
        served.pass_s(WRITE_TICKS - 1)
        assert served.connections
        served.pass_s(1)
        await until(lambda: not served.connections and not served.server._tasks)
        assert len(await client.read_all()) < len(LARGE)


async def test_who_reads_its_answer_slowly_gets_all_of_it() -> None:
    async with serve(large) as served, served.client(GET, receives_bytes=4096) as client:
        await until(lambda: served.connection._writable is not None)
        served.pass_s(WRITE_TICKS - 1)
        size = len(await client.read(b"\r\n\r\n"))
        while size < len(LARGE):
            size += len(await client.read(b"(?s)."))
        await until(lambda: served.connection._current is None)
        served.pass_s(IDLE_TICKS - 1)
        await client.send(get(b"/", b"Connection: close\r\n"))
        await client.read_all()


@pytest.mark.parametrize("extra", [b"", b"Connection: close\r\n"])
async def test_a_connection_that_ends_does_not_wait_for_ever_for_a_client_that_does_not_read(
    extra: bytes,
) -> None:
    async with serve(large) as served, served.client(receives_bytes=4096) as client:
        served.connection._transport.set_write_buffer_limits(UNPAUSED)
        await client.send(get(b"/", extra))
        await until(served.connection._transport.get_write_buffer_size)
        await until(lambda: served.connection._current is None)
        served.pass_s(IDLE_TICKS)
        served.pass_s(WRITE_TICKS)
        await until(lambda: not served.connections)


async def test_who_sends_more_than_was_asked_for_gets_to_read_why() -> None:
    async with serve(refuse) as served, served.client(post(LARGE)[:-1]) as client:
        assert statuses(await client.read_all()) == [413]
        await client.send(LARGE)
        served.pass_s(LINGER_TICKS - 1)
        assert not served.connection._transport.is_closing()
        served.pass_s(1)
        await until(lambda: not served.connections)


async def test_who_has_read_why_and_goes_is_not_waited_for() -> None:
    async with serve(refuse) as served:
        async with served.client(post(b"abc")[:-1]) as client:
            await client.read_all()
        await until(lambda: not served.connections)


async def test_who_reads_a_refusal_late_is_not_waited_for_either() -> None:
    async with serve(large) as served, served.client(receives_bytes=4096) as client:
        transport = served.connection._transport
        transport.set_write_buffer_limits(UNPAUSED)
        await client.send(GET)
        await until(transport.get_write_buffer_size)
        await until(lambda: served.connection._current is None)
        transport.set_write_buffer_limits(1)
        await client.send(b"\x00")
        await until(lambda: served.malformed)
        assert statuses((await client.read_all()).replace(b"\0", b"")) == [200, 400]
        await until(lambda: served.connection._writable is None)
        served.pass_s(LINGER_TICKS)
        await until(lambda: not served.connections)
