"""What an application answers, as it is sent."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from tests.unit.gateway.http1.rig import GET, answer, part, serve, start, statuses


@pytest.mark.parametrize("pieces", [(b"abc", b"de"), (b"abcde",), (b"", b"abcde", b"")])
async def test_an_answer_without_a_length_is_sent_in_chunks_and_the_connection_kept(
    pieces: tuple[bytes, ...],
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        for piece in pieces:
            await send(part(piece))
        await send(part(b"", more=False))

    async with serve(app) as served:
        got = await served.talk(GET + GET)
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
        assert (
            got.count(b"transfer-encoding: chunked\r\n")
            == got.count(b"\r\n\r\n" + chunks + b"0\r\n\r\n")
            == 2
        )


async def test_to_http_1_0_an_answer_without_a_length_ends_with_the_connection() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(part(b"abc"))
        await send(part(b"de", more=False))

    async with serve(app) as served:
        got = await served.talk(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", half_close=False)
        assert got.endswith(b"\r\n\r\nabcde")
        assert b"connection: close\r\n" in got
        assert b"transfer-encoding" not in got


@pytest.mark.parametrize(
    ("method", "status", "length"),
    [(b"HEAD", 200, True), (b"HEAD", 200, False), (b"GET", 204, False), (b"GET", 304, False)],
)
async def test_an_answer_that_has_no_body_gets_none(method: bytes, status: int, length: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(status, *[(b"content-length", b"3")] * length))
        await send(part(b"abc", more=False))

    async with serve(app) as served:
        got = await served.talk(GET.replace(b"GET", method) * 2)
        assert (statuses(got), got.count(b"\r\n\r\n")) == ([status] * 2, 2)
        assert b"abc" not in got
        assert got.endswith(b"\r\n\r\n")


async def test_a_status_that_has_no_name_is_sent_without_one() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, 299)

    async with serve(app) as served:
        got = await served.talk(GET * 2)
        assert (statuses(got), got.count(b"HTTP/1.1 299 \r\n")) == ([299, 299], 2)


async def test_an_application_that_says_close_is_obeyed() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, 200, b"", ((b"connection", b"close"),))

    async with serve(app) as served:
        got = await served.talk(GET * 3, half_close=False)
        assert (statuses(got), got.count(b"connection: close")) == ([200], 1)


@pytest.mark.parametrize("value", [b"a\r\nX-B: b", b"a\nX-B: b", b"a\r"])
async def test_no_header_can_split_an_answer(value: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, 200, b"", ((b"x-a", value),))

    async with serve(app) as served:
        assert await served.talk(GET * 2) == b""
    assert "line break" in caplog.text


@pytest.mark.parametrize("fault", [RuntimeError("broken"), None])
@pytest.mark.parametrize("begun", [(), (start(),), (start(), part(b"abc"))])
async def test_an_answer_that_is_not_ended_ends_the_connection_and_looks_it(
    fault: Exception | None, begun: tuple[Message, ...]
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in begun:
            await send(message)
        if fault is not None:
            raise fault

    async with serve(app) as served:
        got = await served.talk(GET * 2, half_close=False)
        assert got.endswith(b"3\r\nabc\r\n" if len(begun) == 2 else b"")
        assert statuses(got) == [200] * (len(begun) == 2)
