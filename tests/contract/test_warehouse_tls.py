"""ClickHouse behind TLS: the certificate is checked, against the CA that is set."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.settings import Settings, SettingsError
from stores.base import StoreUnavailable
from stores.warehouse import open_warehouse
from tests.embedded_clickhouse import EmbeddedClickHouse


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """server.pem with its key, valid for 127.0.0.1 and its own CA; other.pem, which signed nothing."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("server", "other"):
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            f"/CN={name}",
        ]
        command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
async def port(certificates: Path, clickhouse: EmbeddedClickHouse) -> AsyncIterator[int]:
    """A port that speaks TLS and passes on to the embedded server."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", clickhouse.port)
        await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


def settings(port: int, *, scheme: str = "clickhouses", ca: str = "") -> Settings:
    return Settings(clickhouse_url=f"{scheme}://us%40er:p%2Fw@127.0.0.1:{port}/penstock", clickhouse_ca=ca)


async def test_a_server_with_a_certificate_of_the_ca(certificates: Path, port: int) -> None:
    async with open_warehouse(settings(port, ca=str(certificates / "server.pem"))) as warehouse:
        await warehouse.probe()
        assert await warehouse.query("SELECT 1 AS one") == [{"one": 1}]


async def test_anybody_else_is_not_spoken_to(certificates: Path, port: int) -> None:
    for ca in (str(certificates / "other.pem"), ""):
        async with open_warehouse(settings(port, ca=ca)) as warehouse:
            with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
                await warehouse.probe()


def test_a_missing_ca_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PENSTOCK_CLICKHOUSE_CA"):
        open_warehouse(settings(1, ca=str(tmp_path / "nothing.pem")))


async def test_plain_text_to_a_port_that_speaks_tls(port: int) -> None:
    async with open_warehouse(settings(port, scheme="clickhouse")) as warehouse:
        with pytest.raises(StoreUnavailable):
            await warehouse.probe()
