"""What tests of several houses share."""

import asyncio
import re
import socket
from collections.abc import Iterator

import pytest

from tests.embedded_clickhouse import EmbeddedClickHouse

_TIME = re.compile(r"\d{13}|\d{4}-\d\d-\d\dT\d\d:")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Keep times out of the names of tests: several processes collect them, and compare the names."""
    if isinstance(val, bytes) and not val.isascii():
        return argname  # compressed by now: gzip writes the time
    return f"{argname}-with-a-time" if isinstance(val, str) and _TIME.search(val) else None


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    """A running embedded ClickHouse, migrated; shared by the session, so tests tell their rows apart.

    `clickhouse.url` names its database; `await clickhouse.migrate("other")` makes another one.
    """
    server = EmbeddedClickHouse(tmp_path_factory.mktemp("clickhouse") / "server")
    server.start()
    try:
        asyncio.run(server.migrate())
        yield server
    finally:
        server.kill()


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A loopback port on which nobody listens as long as the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
