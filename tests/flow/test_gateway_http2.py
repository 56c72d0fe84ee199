"""Hypercorn speaks HTTP/2 as well, without TLS to clients that know it beforehand."""

import json
from collections.abc import Iterator

import h2.connection
import h2.events
import pytest

from stores.registry import demo
from tests.unit.gateway.child import BODY, Child, running


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    with running(tmp_path_factory.mktemp("gateway")) as started:
        yield started
        started.check_unharmed()


@pytest.mark.parametrize("length", [[], [("content-length", str(len(BODY)))]], ids=["open", "length"])
def test_http_2(child: Child, length: list[tuple[str, str]]) -> None:
    connection = h2.connection.H2Connection()
    connection.initiate_connection()
    with child.connect() as line:
        line.sendall(connection.data_to_send())
        headers = [
            (":method", "POST"),
            (":path", "/ingest/batch"),
            (":authority", "x"),
            (":scheme", "http"),
            ("authorization", f"Bearer {demo.RELO_SECRET}"),
            ("content-type", "application/json"),
        ]
        connection.send_headers(1, headers + length)
        # The end of the stream is a frame of its own, as many clients send it.
        connection.send_data(1, BODY)
        connection.send_data(1, b"", end_stream=True)
        # And one that is refused before its body was sent.
        connection.send_headers(3, [*headers[:4], ("content-type", "application/json")])
        line.sendall(connection.data_to_send())
        found: dict[int, str] = {}
        body: dict[int, bytes] = {1: b"", 3: b""}
        while not all(data.endswith(b"}") for data in body.values()):
            for event in connection.receive_data(line.recv(65_536)):
                if isinstance(event, h2.events.ResponseReceived):
                    found[event.stream_id] = dict(event.headers)[b":status"].decode()
                elif isinstance(event, h2.events.DataReceived):
                    body[event.stream_id] += event.data
            line.sendall(connection.data_to_send())
    assert found == {1: "200", 3: "401"}
    assert json.loads(body[1])["accepted"] == 1
    assert json.loads(body[3])["code"] == "unauthorized"
