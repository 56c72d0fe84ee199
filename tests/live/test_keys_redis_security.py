"""TLS and a password for the key store, against a Redis that lets nobody else in."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.dev import redis as redis_server
from deploy.dev.server import Server, ServerFailed, accepts, free_ports
from schemas.settings import Settings
from stores.base import StoreUnavailable
from stores.keys import open_keys
from tests.live.servers import LiveServer, skip_or_fail

PASSWORD = "a-s3cret"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that is its own authority; its key lies beside it."""
    folder = tmp_path_factory.mktemp("certificate")
    argv = (
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=redis"),
        *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "redis.key", "-out", "redis.pem"),
    )
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    return folder / "redis.pem"


@pytest.fixture(scope="module")
def secure_port(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("secure")
    plain_port, port = free_ports(2)

    def prepare() -> Server:
        server = redis_server.prepare(folder, plain_port)
        argv = (
            *(*server.argv, "--port", "0", "--tls-port", str(port), "--requirepass", PASSWORD),
            *("--tls-cert-file", str(certificate), "--tls-key-file", str(certificate.with_suffix(".key"))),
            *("--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no"),
        )
        return replace(server, argv=argv, ready=lambda: accepts(port))

    try:
        server = LiveServer(prepare, folder / "log")
        server.start()
    except ServerFailed as missing:  # none is installed, or one that was built without TLS
        skip_or_fail(missing)
    try:
        yield port
    finally:
        server.stop()


async def test_who_knows_its_certificate_and_the_password_is_let_in(
    certificate: Path, secure_port: int
) -> None:
    url = f"rediss://:{PASSWORD}@127.0.0.1:{secure_port}/0?ssl_ca_certs={certificate}"
    async with open_keys(Settings(keys_url=url)) as keys:
        await keys.probe()
        assert await keys.count({"a": 1}, 1_000) == [1]


@pytest.mark.parametrize(
    "url",
    [
        "rediss://:wrong@127.0.0.1:{port}/0?ssl_ca_certs={ca}",
        "rediss://127.0.0.1:{port}/0?ssl_ca_certs={ca}",
        "rediss://:{password}@127.0.0.1:{port}/0",
        "rediss://:{password}@127.0.0.1:{port}/0?ssl_ca_certs=/nowhere/ca.pem",
        "redis://:{password}@127.0.0.1:{port}/0",
    ],
)
async def test_anybody_else_is_not(certificate: Path, secure_port: int, url: str) -> None:
    told = url.format(port=secure_port, ca=certificate, password=PASSWORD)
    async with open_keys(Settings(keys_url=told)) as keys:
        with pytest.raises(StoreUnavailable, match="the key store cannot be reached"):
            await keys.probe()
