"""The gateway behind its real servers, through raw sockets: where one request ends and another begins."""

import gzip
import re
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from stores.registry import demo
from tests.unit.gateway.child import AUTH, BODY, Child, read_all, running, statuses, told, written


@pytest.fixture(scope="module", params=["hypercorn", "builtin"])
def child(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    with running(tmp_path_factory.mktemp("gateway"), server=request.param) as started:
        yield started
        started.check_unharmed()


def test_it_serves(child: Child) -> None:
    before = child.metric("events_accepted_total")
    assert child.post(BODY) == (200, {"accepted": 1, "rejected": 0, "errors": []})
    assert child.metric("events_accepted_total") == before + 1


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\ncontent-length: 0\r\n\r\n0\r\n\r\n",
        b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
        b"Content-Length: 4, 5\r\n\r\nabcde",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 0x4\r\n\r\nabcd",
        b"Transfer-Encoding: xchunked\r\n\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_no_second_request_can_be_smuggled(child: Child, framing: bytes) -> None:
    smuggled = (
        b"POST /ingest/batch HTTP/1.1\r\nHost: x\r\n"
        + AUTH
        + framing
        + b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    got = child.talk(smuggled)
    assert statuses(got) == [400]
    assert told(got)["code"] in {"ambiguous_length", "malformed_request"}
    assert b"connection: close" in got.lower()
    assert b"x-request-id: " in got.lower()


@pytest.mark.parametrize(
    "extra",
    [
        b"X-Large: " + b"a" * 17_000 + b"\r\n",
        b"X-Large: " + b"a" * 100_000 + b"\r\n",
        b"".join(b"X-%d: a\r\n" % i for i in range(100)),
        b"".join(b"X-%d: a\r\n" % i for i in range(3_000)),
    ],
)
def test_headers_are_bounded(child: Child, extra: bytes) -> None:
    got = child.talk(written(extra=extra))
    assert statuses(got) == [431]
    assert told(got)["code"] == "headers_too_large"
    assert b"connection: close" in got.lower()


@pytest.mark.parametrize(
    "noise",
    [
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"POST /ingest batch HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c: \x00\r\n\r\n",
    ],
)
def test_noise_is_refused_in_words(child: Child, noise: bytes) -> None:
    got = child.talk(noise)
    assert statuses(got) == [400]
    assert told(got)["code"] == "malformed_request"


def test_pipelined_requests_are_answered_in_order(child: Child) -> None:
    empty = b'{"events":[]}'
    ids = [b"X-Request-Id: p-%d\r\n" % i for i in range(5)]
    got = child.talk(b"".join(written(empty, extra) for extra in ids), timeout_s=1)
    assert statuses(got) == [200] * 5
    assert re.findall(rb"x-request-id: (p-\d)", got) == [b"p-%d" % i for i in range(5)]


def test_expectations_are_met(child: Child) -> None:
    head = b"POST /ingest/batch HTTP/1.1\r\nHost: x\r\n" + AUTH
    with child.connect(1) as line:
        line.sendall(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY))
        assert b"100" in line.recv(1_000)
        line.sendall(BODY)
        assert statuses(read_all(line)) == [200]


def test_a_client_that_stops_sending_halfway(child: Child) -> None:
    before = child.metric("clients_gone_total")
    got = child.talk(written()[:-5], half_close=True)
    assert statuses(got) == [400]
    assert told(got)["code"] in {"incomplete_body", "malformed_request"}
    assert statuses(child.talk(written(), half_close=True, timeout_s=1)) == [200]
    with child.connect() as line:
        line.sendall(written()[:-5])
    give_up_at = time.monotonic() + 5
    while child.metric("clients_gone_total") < before + 2 and time.monotonic() < give_up_at:
        time.sleep(0.05)
    assert child.metric("clients_gone_total") == before + 2


@pytest.mark.parametrize("begun", [b"", b"POST /inge", b"GET /live HTTP/1.1\r\nHost: x\r\n\r\nPOST /inge"])
def test_idle_lines_are_let_go(child: Child, begun: bytes) -> None:
    got = b""
    with child.connect(60) as line:
        line.sendall(begun)
        while data := line.recv(65_536):  # raises TimeoutError while the line is kept
            got += data
    assert statuses(got) == [200] * begun.count(b"GET")


HEAD = b"HEAD /%s HTTP/1.1\r\nHost: x\r\n\r\n"
OPTIONS = b"OPTIONS /%s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (HEAD % b"live", 200),
        (HEAD % b"ingest/batch", 405),
        (HEAD % b"nothing", 404),
        (OPTIONS % b"ingest/batch", 405),
        (OPTIONS % b"api/v1/events/", 204),
        (written()[: -len(BODY)].replace(b"%d\r\n\r\n" % len(BODY), b"0\r\n\r\n"), 400),
        (written(b"{"), 400),
        (written(b"x" * 60_000).replace(b"Authorization", b"X-None"), 401),
    ],
)
def test_after_a_refusal_the_line_serves_on(child: Child, asked: bytes, expected: int) -> None:
    """Nothing that is left of one request, or of its answer, is taken for the next."""
    got = child.talk(asked * 2 + written(), timeout_s=2)
    assert statuses(got) == [expected, expected, 200]
    if asked.startswith(b"HEAD"):
        assert got.count(b"\r\n\r\n") == 3
        assert b"\r\n\r\nHTTP/1.1" in got


@pytest.mark.parametrize(
    ("encoding", "packed"), [(b"gzip", gzip.compress(BODY, mtime=0)), (b"deflate", zlib.compress(BODY))]
)
def test_a_length_is_of_the_bytes_on_the_wire(child: Child, encoding: bytes, packed: bytes) -> None:
    got = child.talk(written(packed, b"Content-Encoding: " + encoding + b"\r\n") * 2, timeout_s=2)
    assert statuses(got) == [200, 200]


def test_keys_are_in_no_log(child: Child) -> None:
    child.ask("POST", "/api/v1/events?key=ak_very_secret", b"{", {"Content-Type": "application/json"})
    child.talk(b"POST /x?key=ak_very_secret HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n")
    assert "ak_very_secret" not in child.log.read_text()
    assert demo.RELO_SECRET not in child.log.read_text()


def test_the_admin_port_is_another(child: Child, tmp_path: Path) -> None:
    assert child.ask("GET", "/metrics")[0] == 404
    assert child.metric("dependency_up") > 0
    on_admin = Child(child.process, child.admin_port, child.admin_port, tmp_path)
    assert on_admin.ask("GET", "/health")[1]["bus"] == "ok"
    assert on_admin.ask("GET", "/live") == (200, {"status": "live"})
    assert child.ask("GET", "/health")[1].keys() == {
        "status",
        "version",
        "uptime_sec",
        "clickhouse",
        "dragonfly",
        "supabase",
        "bus",
    }
