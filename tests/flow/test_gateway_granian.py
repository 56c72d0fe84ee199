"""The same gateway under granian: what differs is the server, not the answers."""

import gzip
import json
import time
from collections.abc import Iterator

import pytest

from stores.registry import demo
from tests.unit.gateway.child import Child, read_all, running, statuses

HEADERS = {"Authorization": f"Bearer {demo.RELO_SECRET}", "Content-Type": "application/json"}
BODY = json.dumps({"events": [{"t": "install", "ts": 1_710_244_800_000, "cid": 3, "did": "d-1"}]}).encode()


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    with running(tmp_path_factory.mktemp("granian"), server="granian") as started:
        yield started
        assert started.metric("body_bytes_held") == 0
        assert "Traceback" not in started.log.read_text()
        assert started.stop() == 0


def test_events_are_taken(child: Child) -> None:
    before = child.metric("events_accepted_total")
    assert child.ask("POST", "/ingest/batch", BODY, HEADERS)[1]["accepted"] == 1
    zipped = {**HEADERS, "Content-Encoding": "gzip"}
    assert child.ask("POST", "/ingest/batch", gzip.compress(BODY), zipped)[1]["accepted"] == 1
    assert child.metric("events_accepted_total") == before + 2


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("POST", "/ingest/batch", b"{", HEADERS, 400),
        ("POST", "/ingest/batch", BODY, {}, 401),
        ("POST", "/nothing", bytes(3 * 2**20), {}, 404),
        ("GET", "/ingest/batch", b"", {}, 405),
        ("POST", "/ingest/batch", bytes(33 * 2**20), HEADERS, 413),
        ("POST", "/ingest/batch", BODY, {**HEADERS, "Content-Type": "text/plain"}, 415),
        ("POST", "/ingest/batch", BODY, {**HEADERS, "X-Large": "a" * 17_000}, 431),
        ("GET", "/health", b"", {}, 200),
    ],
)
def test_answers(
    child: Child, method: str, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    assert child.ask(method, path, body, headers)[0] == status


def test_a_large_upload_that_is_refused_still_gets_its_answer(child: Child) -> None:
    """Also when the body stays out for a while: then granian, asked for more, says the client has gone."""
    head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items()).encode()
    size = 33 * 2**20
    with child.connect() as line:
        line.sendall(b"POST /ingest/batch HTTP/1.1\r\nHost: x\r\n" + head)
        line.sendall(b"Content-Length: %d\r\n\r\n" % size)
        line.sendall(bytes(size // 2))
        time.sleep(1)
        line.sendall(bytes(size // 2))
        got = read_all(line)
    assert statuses(got) == [413]
    assert b"body_too_large" in got
    assert got.endswith(b"0\r\n\r\n")


def test_a_bomb(child: Child) -> None:
    zipped = {**HEADERS, "Content-Encoding": "gzip"}
    status, answer = child.ask("POST", "/ingest/batch", gzip.compress(bytes(200_000_000), 6), zipped)
    assert (status, answer["code"]) == (413, "body_too_large")


def test_a_length_given_twice_smuggles_nothing(child: Child) -> None:
    """Granian drops the Content-Length before anyone sees it, and closes the connection in the end."""
    head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items()).encode()
    framing = b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    sent = (
        b"POST /ingest/batch HTTP/1.1\r\nHost: x\r\n"
        + head
        + framing
        + b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    assert child.talk(sent).count(b"HTTP/1.1 ") == 1
