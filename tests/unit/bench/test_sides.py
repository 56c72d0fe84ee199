"""The peer's configuration, filled in: nothing is left open, and its own expressions stay."""

import re

from bench.ground import PEER_TOPIC
from bench.machine import peer_version
from bench.programs import HERE
from bench.sides import PEER_CONFIG, peer_config


def filled() -> str:
    return peer_config(PEER_CONFIG.read_text(), "kafka://127.0.0.1:29092", 18080, 14195)


def test_ports_broker_and_topic_are_filled_in() -> None:
    text = filled()
    assert "address: 127.0.0.1:18080" in text
    assert "address: 127.0.0.1:14195" in text
    assert 'seed_brokers: ["127.0.0.1:29092"]' in text
    assert f"topic: {PEER_TOPIC}\n" in text
    assert re.findall(r"\$\{[A-Z_]+\}", text) == []


def test_its_own_expressions_are_left() -> None:
    assert 'key: ${!json("did")}' in filled()


def test_it_is_as_durable_as_our_producer() -> None:
    durable = {
        "idempotent_write: true",
        "partitioner: murmur2_hash",
        "compression: lz4",
        "max_in_flight: 1024",
    }
    assert {line.strip() for line in filled().splitlines()} >= durable


def test_it_checks_the_four_fields_that_relo_requires() -> None:
    assert set(re.findall(r"this\.(t|ts|cid|did)\b", filled())) == {"t", "ts", "cid", "did"}


def test_the_version_is_read_from_its_module() -> None:
    assert peer_version((HERE / "peer" / "go.mod").read_text()) == "v4.27.0"
