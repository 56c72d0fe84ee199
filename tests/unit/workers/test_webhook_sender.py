"""workers/webhooks/sender.py: signed, bounded, and to public addresses only."""

import hashlib
import hmac
import time

import pytest

from tests.unit.workers.receiver import receiving, status
from workers.webhooks.schedule import Answer
from workers.webhooks.sender import Sender

ID = "7f0f3c0e-0d0c-4a3e-9b1a-5a5f0c1d2e3f"
SECRET = "pk_webhook_secret"
BODY = b'{"a":"\xc3\xa9"}'


async def test_a_request_is_signed_and_names_its_match() -> None:
    async with receiving() as receiver, Sender(private_allowed=True) as sender:
        answer = await sender.send(receiver.url + "?a=%2F&b", SECRET, ID, BODY)
    assert answer.delivered
    [(headers, body)] = receiver.got
    assert receiver.paths == ["POST /hook?a=%2F&b HTTP/1.1"]
    assert body == BODY
    assert headers["content-type"] == "application/json"
    assert headers["penstock-id"] == ID
    timestamp = headers["penstock-timestamp"]
    assert abs(int(timestamp) - time.time()) < 60
    mac = hmac.new(SECRET.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["penstock-signature"] == f"v1={mac}"


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
async def test_what_counts_as_delivered(code: int) -> None:
    assert (await _answered(status(code))).delivered


@pytest.mark.parametrize("code", [301, 302, 307, 400, 404, 410, 429, 500, 503])
async def test_what_does_not(code: int) -> None:
    """A redirect is not followed: it could lead anywhere."""
    async with receiving() as elsewhere:
        answer = await _answered(status(code, f"Location: {elsewhere.url}", "Retry-After: 7"))
        assert (answer.delivered, answer.status, answer.retry_after_s) == (False, code, 7)
        assert elsewhere.got == []


@pytest.mark.parametrize(
    "answer",
    [
        b"no http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 100_000 + b"\r\n",
    ],
)
async def test_an_answer_that_is_none(answer: bytes) -> None:
    told = await _answered(answer)
    assert not told.delivered
    assert told.status == 0
    assert told.reason.startswith("the request failed: ")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n" + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
async def test_the_body_of_an_answer_does_not_matter(answer: bytes) -> None:
    assert (await _answered(answer)).delivered


async def test_an_endpoint_that_hangs_is_left() -> None:
    async with receiving() as receiver, Sender(private_allowed=True, timeout_s=0.3) as sender:
        receiver.answers = [b""]
        answer = await sender.send(receiver.url, SECRET, ID, BODY)
        assert (answer.status, answer.reason, answer.hopeless) == (0, "no answer within 0.3 s", False)


async def test_nobody_listens(unused_port: int) -> None:
    async with Sender(private_allowed=True) as sender:
        answer = await sender.send(f"http://127.0.0.1:{unused_port}/", SECRET, ID, BODY)
    assert (answer.status, answer.hopeless) == (0, False)
    assert answer.reason == "the request failed: ClientConnectorError"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]"])
async def test_no_call_to_this_machine(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """Also by a name, which is looked at after it was resolved."""
    monkeypatch.setattr("workers.webhooks.sender.check_url", lambda url, private_allowed: None)
    async with receiving() as receiver:
        async with Sender(private_allowed=False) as sender:
            answer = await sender.send(f"http://{host}:{receiver.port}/", SECRET, ID, BODY)
        assert answer.hopeless, answer
        assert answer.reason == "its address is private, link-local, loopback or reserved"
        assert receiver.got == []


async def test_what_some_resolvers_read_as_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.webhooks.sender.check_url", lambda url, private_allowed: None)
    async with Sender(private_allowed=False) as sender:
        for host in ("127.1", "2130706433", "0177.0.0.1"):
            answer = await sender.send(f"http://{host}/", SECRET, ID, BODY)
            assert (answer.hopeless, answer.reason) == (True, "the URL is refused: its host is not usable")


async def test_plain_http_is_for_private_addresses() -> None:
    async with Sender(private_allowed=False) as sender:
        answer = await sender.send("http://hooks.example/", SECRET, ID, BODY)
    assert answer.hopeless
    assert answer.reason.startswith(
        "the URL is refused: it must begin with https:// (http:// where PENSTOCK_"
    )


async def _answered(answer: bytes) -> Answer:
    async with receiving() as receiver, Sender(private_allowed=True) as sender:
        receiver.answers = [answer]
        return await sender.send(receiver.url, SECRET, ID, BODY)
