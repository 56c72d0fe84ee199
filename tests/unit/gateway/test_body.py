"""Bodies: type, encoding, size, pace, and what one process holds."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.types import Message

from gateway import body as timing
from gateway.body import WINDOW_BYTES_MIN, Bodies, Pace, check_headers
from gateway.errors import ClientGone, RequestRefused
from gateway.request import Request
from gateway.turns import Turn

JSON = {b"content-type": b"application/json"}


def request_of(messages: AsyncIterator[Message], headers: dict[bytes, bytes] | None = None) -> Request:
    async def receive() -> Message:
        return await anext(messages)

    async def send(message: Message) -> None:
        raise AssertionError("nothing is answered here")

    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/",
        "query_string": b"",
        "headers": list((headers or JSON).items()),
    }
    return Request(scope, receive, send)


async def sent(*chunks: bytes, pause_s: float = 0.0) -> AsyncIterator[Message]:
    for chunk in chunks:
        await asyncio.sleep(pause_s)
        yield {"type": "http.request", "body": chunk, "more_body": True}
    yield {"type": "http.request", "more_body": False}


async def read(
    request: Request, *, bytes_max: int = 1000, bodies: Bodies | None = None, browser: bool = False
) -> bytes:
    bodies = bodies or Bodies(2**20)
    with bodies.hold() as hold:
        return await bodies.read(request, hold, bytes_max=bytes_max, browser=browser, turn=Turn())


async def why(request: Request, **more: Any) -> str:
    with pytest.raises(RequestRefused) as caught:
        await read(request, **more)
    return caught.value.problem.code


async def test_a_body_in_pieces() -> None:
    assert await read(request_of(sent(b"ab", b"", b"cd"))) == b"abcd"
    assert await read(request_of(sent())) == b""


@pytest.mark.parametrize(
    ("content_type", "server_side", "browser"),
    [
        (b"application/json", True, True),
        (b"Application/JSON; charset=utf-8", True, True),
        (b"text/plain;charset=UTF-8", False, True),
        (None, False, True),
        (b"application/x-www-form-urlencoded", False, False),
        (b"application/json, text/plain", False, False),
    ],
)
def test_content_types(content_type: bytes | None, server_side: bool, browser: bool) -> None:
    headers = {b"content-type": content_type} if content_type is not None else {}
    for taken, is_browser in ((server_side, False), (browser, True)):
        if taken:
            assert check_headers(headers, browser=is_browser) == b"identity"
        else:
            with pytest.raises(RequestRefused, match="unsupported_media_type"):
                check_headers(headers, browser=is_browser)


@pytest.mark.parametrize("encoding", [b"gzip, gzip", b"compress", b"gzip;q=1", b"*", b"br,"])
def test_other_encodings_are_refused(encoding: bytes) -> None:
    with pytest.raises(RequestRefused, match="unsupported_encoding"):
        check_headers({**JSON, b"content-encoding": encoding}, browser=False)


async def test_the_cap_is_on_what_comes_out() -> None:
    encoded = {**JSON, b"content-encoding": b"GZIP"}
    assert await read(request_of(sent(gzip.compress(bytes(1000))), encoded)) == bytes(1000)
    assert await why(request_of(sent(gzip.compress(bytes(1001))), encoded)) == "body_too_large"
    assert await read(request_of(sent(bytes(1000)))) == bytes(1000)
    assert await why(request_of(sent(bytes(999), b"xy"))) == "body_too_large"


async def test_what_was_read_of_a_body_that_is_too_large_can_be_quoted() -> None:
    request = request_of(sent(b"a" * 600, b"b" * 600))
    assert await why(request) == "body_too_large"
    assert request.body == b"a" * 600 + b"b" * 400


async def test_an_encoding_must_be_whole() -> None:
    encoded = {**JSON, b"content-encoding": b"gzip"}
    assert await why(request_of(sent(gzip.compress(b"hello")[:-1]), encoded)) == "invalid_encoding"


async def test_a_process_holds_a_budget_and_gives_it_back() -> None:
    bodies = Bodies(1500)
    with bodies.hold() as other:
        other.grow(1000)
        assert await why(request_of(sent(bytes(600))), bodies=bodies) == "unavailable"
        assert bodies.held_bytes == 1000
    assert bodies.held_bytes == 0
    assert await read(request_of(sent(bytes(600))), bodies=bodies) == bytes(600)
    assert bodies.held_bytes == 0


async def test_who_hangs_up_is_gone_and_holds_nothing() -> None:
    async def cut() -> AsyncIterator[Message]:
        yield {"type": "http.request", "body": b"half", "more_body": True}
        yield {"type": "http.disconnect"}

    bodies = Bodies(1000)
    with pytest.raises(ClientGone):
        await read(request_of(cut()), bodies=bodies)
    assert bodies.held_bytes == 0


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_BYTE_S", "WINDOW_S"):
        monkeypatch.setattr(timing, name, 0.05)
    monkeypatch.setattr(timing, "TOTAL_S", 0.3)


@pytest.mark.usefixtures("hurried")
async def test_a_body_that_never_begins_times_out() -> None:
    request = request_of(sent(b"late", pause_s=5))
    assert await why(request) == "request_timeout"
    assert request.closes


@pytest.mark.usefixtures("hurried")
async def test_a_body_that_drips_times_out() -> None:
    assert await why(request_of(sent(*[b"x"] * 500, pause_s=0.01))) == "request_timeout"


@pytest.mark.usefixtures("hurried")
async def test_a_fast_body_may_not_last_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "WINDOW_BYTES_MIN", 1)
    assert await why(request_of(sent(*[b"x"] * 500, pause_s=0.01))) == "request_timeout"


async def test_a_stop_ends_uploads_and_lets_no_new_one_in() -> None:
    bodies = Bodies(1000)
    reading = asyncio.create_task(why(request_of(sent(b"late", pause_s=30)), bodies=bodies))
    await asyncio.sleep(0.01)
    bodies.stop()
    assert await reading == "unavailable"
    assert await why(request_of(sent(b"late", pause_s=30)), bodies=bodies) == "unavailable"


def came(*steps: tuple[float, int]) -> tuple[float, list[bool]]:
    pace = Pace(100.0)
    moved = [pace.came(size, 100.0 + at) for at, size in steps]
    return pace.deadline - 100.0, moved


@pytest.mark.parametrize(
    ("steps", "deadline_s"),
    [
        ([], 5),
        ([(4, 1)], 14),
        ([(1, WINDOW_BYTES_MIN - 1)], 11),
        ([(1, WINDOW_BYTES_MIN)], 21),
        ([(1, WINDOW_BYTES_MIN), (2, 10 * WINDOW_BYTES_MIN)], 21),
        ([(1, WINDOW_BYTES_MIN), (12, 1)], 21),
        ([(1, WINDOW_BYTES_MIN), (12, WINDOW_BYTES_MIN)], 31),
        ([(at, WINDOW_BYTES_MIN) for at in range(0, 120, 10)], 120),
    ],
)
def test_pace(steps: list[tuple[float, int]], deadline_s: float) -> None:
    assert came(*steps)[0] == deadline_s


def test_the_deadline_moves_seldom() -> None:
    _, moved = came(*[(1 + i / 1000, 1) for i in range(1000)])
    assert moved == [True] + [False] * 999


def test_the_bounds_are_the_documented_ones() -> None:
    assert (timing.FIRST_BYTE_S, timing.WINDOW_S, timing.TOTAL_S) == (5, 10, 120)
    assert WINDOW_BYTES_MIN == 32 * 1024 * 10
