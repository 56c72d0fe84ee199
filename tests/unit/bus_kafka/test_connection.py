"""Settings to aiokafka's arguments."""

import ssl
from pathlib import Path

import pytest

from bus.kafka.connection import arguments, is_loopback, servers
from schemas.settings import Settings, SettingsError


def test_several_brokers() -> None:
    settings = Settings(bus_url="kafka://a.example:9092,b.example:9093/")
    assert servers(settings) == ["a.example:9092", "b.example:9093"]
    assert arguments(settings)["security_protocol"] == "PLAINTEXT"


@pytest.mark.parametrize("url", ["log:", "kafka://", "kafka://host", "kafka://host:9092,", "kafka://:9092"])
def test_a_url_that_names_no_broker_is_refused(url: str) -> None:
    with pytest.raises(SettingsError):
        servers(Settings(bus_url=url))


def test_only_brokers_of_this_machine_are_a_development_set_up() -> None:
    assert is_loopback(Settings(bus_url="kafka://127.0.0.1:9092,localhost:9093,[::1]:9094"))
    assert not is_loopback(Settings(bus_url="kafka://127.0.0.1:9092,kafka.example:9092"))


def test_tls_and_sasl() -> None:
    settings = Settings(
        bus_url="kafka://h:1", kafka_tls=True, kafka_user="u", kafka_password="p", kafka_sasl="SCRAM-SHA-256"
    )
    chosen = arguments(settings)
    assert chosen["security_protocol"] == "SASL_SSL"
    assert chosen["sasl_mechanism"] == "SCRAM-SHA-256"
    assert chosen["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert chosen["ssl_context"].check_hostname


def test_a_ca_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PENSTOCK_KAFKA_CA"):
        arguments(Settings(bus_url="kafka://h:1", kafka_tls=True, kafka_ca=str(tmp_path / "none.pem")))
