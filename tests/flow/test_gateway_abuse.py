"""The gateway behind its real server, under clients that send too much, too slowly or too cleverly."""

import concurrent.futures
import gzip
import json
import time
import zlib
from collections.abc import Callable, Iterator

import brotli
import pytest
import zstandard

from tests.unit.gateway.child import AUTH, BODY, EVENT, Child, running, statuses

BOMB_BYTES = 200_000_000

ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 6),
    "deflate": zlib.compress,
    "br": lambda data: brotli.compress(data, quality=4),
    "zstd": zstandard.compress,
}


@pytest.fixture(scope="module", params=["hypercorn", "granian", "builtin"])
def child(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    with running(tmp_path_factory.mktemp("gateway"), server=request.param) as started:
        yield started
        started.check_unharmed()


@pytest.mark.parametrize("path", [b"/ingest/batch", b"/nothing", b"/live"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_upload_that_is_refused_still_gets_its_answer(
    child: Child, path: bytes, chunked: bool
) -> None:
    size = 3 * 2**20
    head = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    if chunked:
        piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        sent = head + b"Transfer-Encoding: chunked\r\n\r\n" + piece * (size // 0x10000) + b"0\r\n\r\n"
    else:
        sent = head + b"Content-Length: %d\r\n\r\n" % size + bytes(size)
    got = child.talk(sent)
    assert statuses(got) == [{b"/ingest/batch": 401, b"/nothing": 404, b"/live": 405}[path]]
    assert b"connection: close" in got.lower()


def test_a_body_over_the_cap_gets_its_answer(child: Child) -> None:
    status, answer = child.post(b" " * (33 * 2**20))
    assert (status, answer["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_bomb_is_refused_with_flat_memory(child: Child, encoding: str) -> None:
    bomb = ENCODERS[encoding](bytes(BOMB_BYTES))
    assert len(bomb) < 2**20
    before = child.rss_bytes
    peak = before
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        bombs = [pool.submit(child.post, bomb, **{"Content-Encoding": encoding}) for _ in range(3)]
        while not all(done.done() for done in bombs):
            peak = max(peak, child.rss_bytes)
            time.sleep(0.005)
    assert {(done.result()[0], done.result()[1]["code"]) for done in bombs} == {(413, "body_too_large")}
    # Each may hold its cap, 32 MiB, and what its decoder needs; unpacked they would have 600 MB.
    assert peak - before < 3 * 64 * 2**20


def test_five_million_brackets(child: Child) -> None:
    brackets = b'{"events":[' + b"[" * 5_000_000 + b"]" * 5_000_000 + b"]}"
    status, answer = child.post(brackets)
    assert (status, answer["code"]) == (400, "too_deep")


def test_ten_thousand_and_one_events(child: Child) -> None:
    status, answer = child.post(json.dumps({"events": [EVENT] * 10_001}).encode())
    assert (status, answer["code"]) == (400, "too_many_events")


def test_ten_thousand_events(child: Child) -> None:
    before = child.metric("events_accepted_total")
    events = [{**EVENT, "did": f"d-{i}"} for i in range(10_000)]
    assert child.post(json.dumps({"events": events}).encode())[1]["accepted"] == 10_000
    assert child.metric("events_accepted_total") == before + 10_000


def slow(child: Child, body: bytes, pause_s: float) -> bytes:
    """Send a body byte by byte; return the answer."""
    with child.connect(20) as line:
        line.sendall(b"POST /ingest/batch HTTP/1.1\r\nHost: x\r\n" + AUTH)
        line.sendall(b"Content-Length: 100000\r\n\r\n")
        line.settimeout(pause_s)
        for byte in body:
            line.sendall(bytes([byte]))
            try:
                return line.recv(65_536)
            except TimeoutError:
                continue
        line.settimeout(20)
        return line.recv(65_536)


def test_slow_bodies_are_cut_off_and_others_served_meanwhile(child: Child) -> None:
    idle = [child.connect() for _ in range(500)]
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        silent = [pool.submit(slow, child, b"", 1) for _ in range(10)]
        dripping = [pool.submit(slow, child, b"x" * 30, 1) for _ in range(10)]
        time.sleep(0.5)
        assert child.post(BODY)[0] == 200
        for done in (*silent, *dripping):
            got = done.result()
            assert statuses(got) == [408]
            assert b"connection: close" in got.lower()
    for line in idle:
        line.close()
