"""A request's headers, query and address; and how an answer is ended while the client still sends."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.types import Message

from gateway import request as manners
from gateway.errors import RequestRefused
from gateway.request import HEADER_BYTES_MAX, HEADER_FIELDS_MAX, Request

Pairs = Sequence[tuple[bytes, bytes]]


class Wire:
    """Both ends of a request; `incoming` are the messages of the client, after which it waits."""

    def __init__(
        self,
        *incoming: Message,
        headers: Pairs = (),
        query: bytes = b"",
        version: str = "1.1",
        ends_at_length: bool = False,
    ) -> None:
        self.incoming = list(incoming)
        self.sent: list[Message] = []
        scope: dict[str, Any] = {
            "type": "http",
            "http_version": version,
            "method": "POST",
            "path": "/p",
            "query_string": query,
            "headers": list(headers),
            "client": ("192.0.2.1", 1),
        }
        self.request = Request(scope, self.receive, self.send, ends_at_length=ends_at_length)

    async def receive(self) -> Message:
        await asyncio.sleep(0)
        if not self.incoming:
            await asyncio.Event().wait()
        return self.incoming.pop(0)

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    def header(self, name: bytes) -> bytes | None:
        return dict(self.sent[0]["headers"]).get(name)


def part(data: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": data, "more_body": more}


def refused(headers: Pairs) -> str:
    with pytest.raises(RequestRefused) as caught:
        Wire(headers=headers).request.check_headers()
    assert caught.value.reason.closes
    return caught.value.problem.code


def test_headers_are_bounded() -> None:
    name = b"x-large"
    fits = HEADER_BYTES_MAX - len(name) - 4 - len("/p")
    Wire(headers=[(name, b"a" * fits)]).request.check_headers()
    assert refused([(name, b"a" * (fits + 1))]) == "headers_too_large"
    Wire(headers=[(b"x", b"")] * HEADER_FIELDS_MAX).request.check_headers()
    assert refused([(b"x", b"")] * (HEADER_FIELDS_MAX + 1)) == "headers_too_large"


def test_a_length_given_twice_is_refused() -> None:
    assert refused([(b"content-length", b"1"), (b"transfer-encoding", b"chunked")]) == "ambiguous_length"


def test_repeated_headers_are_joined() -> None:
    request = Wire(headers=[(b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3")]).request
    assert request.headers == {b"x-a": b"1, 3", b"x-b": b"2"}


def test_the_query() -> None:
    request = Wire(query=b"key=a%26b&dry_run=1&verbose=0&dry_run=true&empty=").request
    assert request.query["key"] == "a&b"
    assert request.query["empty"] == ""
    assert request.asks_for("dry_run")
    assert not request.asks_for("verbose")
    assert Wire(query=b"a=1&" * 200 + b"dry_run=1").request.asks_for("dry_run")


@pytest.mark.parametrize(
    ("date", "sent_at"),
    [
        (b"Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777_000),
        (b"Sun, 06 Nov 1994 08:49:37 +0100", 784_108_177_000),
        (b"yesterday", None),
        (b"Sun, 99 Nov 1994 08:49:37 GMT", None),
        (b"Sun, 06 Nov 99999999999 08:49:37 GMT", None),
        (b"\xff", None),
    ],
)
def test_when_it_was_sent(date: bytes, sent_at: int | None) -> None:
    assert Wire(headers=[(b"date", date)]).request.sent_at == sent_at


def test_the_user_agent_is_text_of_bounded_length() -> None:
    assert Wire(headers=[(b"user-agent", "naïve".encode())]).request.user_agent == "naïve"
    assert len(Wire(headers=[(b"user-agent", b"a" * 9_000)]).request.user_agent) == 1024
    assert Wire().request.user_agent == ""


async def answer(wire: Wire, status: int = 401) -> None:
    await wire.request.answer(status, [], b"{}")


async def test_an_answer_names_the_request() -> None:
    wire = Wire(part(b"", more=False), headers=[(b"x-request-id", b"mine-1")])
    await answer(wire)
    assert wire.header(b"x-request-id") == b"mine-1"
    assert wire.header(b"content-length") == b"2"
    assert wire.request.status == 401


async def test_a_small_body_is_read_so_that_the_connection_is_kept() -> None:
    wire = Wire(part(b"abc"), part(b"def", more=False))
    await answer(wire)
    assert wire.header(b"connection") is None
    assert wire.request.body == b"abcdef"
    assert len(wire.sent) == 2


async def test_a_large_body_is_read_on_behind_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire(*[part(bytes(60_000))] * 20, part(b"", more=False))
    await answer(wire)
    assert wire.header(b"connection") == b"close"
    assert [m.get("more_body") for m in wire.sent] == [None, True, False]
    assert wire.sent[1]["body"] == b"{}"
    assert wire.incoming == []


@pytest.mark.parametrize(("pieces", "length"), [(1, b"2"), (20, None)])
async def test_where_a_length_ends_the_reading_too_an_early_answer_has_none(
    pieces: int, length: bytes | None
) -> None:
    wire = Wire(*[part(bytes(60_000))] * pieces, part(b"", more=False), ends_at_length=True)
    await answer(wire)
    assert wire.header(b"content-length") == length
    assert wire.incoming == []


async def left(length: bytes | None, *incoming: Message) -> list[bool]:
    """Take one message after the other; tell each time whether more is to come."""
    wire = Wire(*incoming, headers=[] if length is None else [(b"content-length", length)])
    told: list[bool] = []
    for _ in incoming:
        await wire.request.receive()
        told.append(wire.request.unread)
    return told


@pytest.mark.parametrize("length", [b"4", b"0004"])
async def test_a_body_ends_with_its_last_byte(length: bytes) -> None:
    """No message need say so: the next one may be long in coming."""
    assert await left(length, part(b"ab"), part(b"c"), part(b"d")) == [True, True, False]
    assert await left(length, part(b""), part(b"abcd")) == [True, False]
    assert await left(length, part(b"abcde")) == [False]


@pytest.mark.parametrize("length", [None, b"", b"4, 4", b"-1", b"+4", b"4.0", "٤".encode(), b"9" * 5_000])
async def test_without_a_length_that_can_be_read_the_server_says_when_it_ends(length: bytes | None) -> None:
    assert await left(length, part(b"abcd"), part(b"ef"), part(b"", more=False)) == [True, True, False]


async def test_a_body_shorter_than_its_length_ends_where_the_server_says() -> None:
    assert await left(b"9", part(b"abcd"), part(b"", more=False)) == [True, False]
    assert await left(b"9", part(b"abcd"), {"type": "http.disconnect"}) == [True, False]


async def test_a_body_of_no_length_has_ended_when_that_was_heard() -> None:
    assert await left(b"0", part(b"")) == [False]


async def test_http_2_has_no_connection_header() -> None:
    wire = Wire(*[part(bytes(60_000))] * 20, part(b"", more=False), version="2")
    await answer(wire)
    assert wire.header(b"connection") is None


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manners, "REST_WAIT_S", 0.02)
    monkeypatch.setattr(manners, "LINGER_S", 0.05)


@pytest.mark.usefixtures("hurried")
async def test_an_upload_without_end_is_cut_off() -> None:
    wire = Wire(part(b"begins"))
    await answer(wire)
    assert wire.header(b"connection") == b"close"
    assert not wire.sent[-1]["more_body"]


async def test_a_request_that_closes_is_not_read_on() -> None:
    wire = Wire(part(b"more"))
    wire.request.closes = True
    await answer(wire, 408)
    assert wire.header(b"connection") == b"close"
    assert not wire.sent[-1]["more_body"]


async def test_a_client_that_goes_away_meanwhile_is_no_error() -> None:
    wire = Wire(part(b"abc"), {"type": "http.disconnect"})
    await answer(wire)
    assert wire.request.status == 401
