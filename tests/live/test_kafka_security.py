"""TLS with client certificates, and SASL, against a broker that lets nobody else in."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from msgspec import structs

from bus.base import BusUnavailable, Record
from bus.kafka import create_topics, open_kafka
from deploy.dev import kafka as kafka_server
from deploy.dev.server import Server, ServerFailed, free_ports
from schemas.settings import Settings
from schemas.topics import RAW
from tests.live.servers import LiveServer, skip_or_fail

PASSWORD = "a-s3cret"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem; server.pem with its key; client.pem and client.key."""
    folder = tmp_path_factory.mktemp("certificates")
    openssl = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key")
    for argv in (
        (*openssl, "-subj", "/CN=test CA", "-keyout", "ca.key", "-out", "ca.pem"),
        (*openssl, *signed, "-subj", "/CN=server", "-addext", "subjectAltName=IP:127.0.0.1",
         "-addext", "basicConstraints=CA:FALSE", "-keyout", "server.key", "-out", "server.crt"),
        (*openssl, *signed, "-subj", "/CN=client", "-addext", "basicConstraints=CA:FALSE",
         "-keyout", "client.key", "-out", "client.pem"),
    ):  # fmt: skip
        subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    (folder / "server.pem").write_text(
        (folder / "server.key").read_text() + (folder / "server.crt").read_text()
    )
    return folder


@pytest.fixture(scope="module")
def secure_port(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a broker's SASL_SSL listener; it knows the user penstock by PLAIN and by SCRAM."""
    folder = tmp_path_factory.mktemp("secure")
    port, controller_port, secure_port = free_ports(3)

    def prepare() -> Server:
        server = kafka_server.prepare(folder, port, controller_port)
        properties = Path(server.argv[-1])
        properties.write_text(
            properties.read_text() + _secure(certificates, port, controller_port, secure_port)
        )
        return server

    try:
        broker = LiveServer(prepare, folder / "log")
    except ServerFailed as missing:
        skip_or_fail(missing)
    try:
        broker.start()
        _add_scram_user(port)
        yield secure_port
    finally:
        broker.stop()


def _secure(certificates: Path, port: int, controller_port: int, secure_port: int) -> str:
    """Later lines of a properties file replace earlier ones."""
    login = "org.apache.kafka.common.security.%s required"
    plain = login % "plain.PlainLoginModule" + f' user_penstock="{PASSWORD}";'
    scram = login % "scram.ScramLoginModule" + ";"
    return f"""
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port},SECURE://127.0.0.1:{secure_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SECURE://127.0.0.1:{secure_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL
listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.secure.plain.sasl.jaas.config={plain}
listener.name.secure.scram-sha-512.sasl.jaas.config={scram}
listener.name.secure.ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location={certificates / "server.pem"}
ssl.truststore.type=PEM
ssl.truststore.location={certificates / "ca.pem"}
"""


def _add_scram_user(port: int) -> None:
    java = kafka_server.find_java()
    assert java is not None
    argv = (
        *(str(java), "-cp", f"{kafka_server.LIBS}/*", "kafka.admin.ConfigCommand"),
        *("--bootstrap-server", f"127.0.0.1:{port}", "--entity-type", "users", "--entity-name", "penstock"),
        *("--alter", "--add-config", f"SCRAM-SHA-512=[password={PASSWORD}]"),
    )
    subprocess.run(argv, check=True, capture_output=True)


@pytest.fixture
def settings(certificates: Path, secure_port: int) -> Settings:
    return Settings(
        bus_url=f"kafka://127.0.0.1:{secure_port}",
        kafka_user="penstock",
        kafka_password=PASSWORD,
        kafka_tls=True,
        kafka_ca=str(certificates / "ca.pem"),
        kafka_cert=str(certificates / "client.pem"),
        kafka_key=str(certificates / "client.key"),
    )


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_a_user_with_a_certificate_is_let_in(settings: Settings, mechanism: Literal["PLAIN"]) -> None:
    settings = structs.replace(settings, kafka_sasl=mechanism)
    await create_topics(settings)
    async with open_kafka(settings) as bus:
        before = sum(end for _, end in (await bus.ends(RAW)).values())
        await bus.publish(RAW, [Record(b"k", b"v")])
        assert sum(end for _, end in (await bus.ends(RAW)).values()) == before + 1
        await bus.probe()


@pytest.mark.parametrize(
    "changed",
    [{"kafka_password": "wrong"}, {"kafka_cert": "", "kafka_key": ""}, {"kafka_ca": ""}, {"kafka_user": ""}],
)
async def test_anybody_else_is_not(settings: Settings, changed: dict[str, str]) -> None:
    async with open_kafka(structs.replace(settings, **changed)) as bus:
        with pytest.raises(BusUnavailable):
            await bus.publish(RAW, [Record(b"k", b"v")], deadline_s=1)
        with pytest.raises(BusUnavailable):
            await bus.probe()
