"""Real servers for the tests of this folder, one of each kind per test session."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.dev import kafka as kafka_server
from deploy.dev import postgres as postgres_server
from deploy.dev import redis as redis_server
from deploy.dev.server import Server, ServerFailed, free_ports
from tests.live.servers import LiveServer, skip_or_fail

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder needs real servers, and says so."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.live)


@pytest.fixture(scope="session")
def live_directory() -> Iterator[Path]:
    """A directory that other users may pass through: Postgres runs as another one when we are root."""
    directory = Path(tempfile.mkdtemp(prefix="penstock-live-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka(live_directory: Path) -> Iterator[LiveServer]:
    """A Kafka broker of its own; `url` is a bus_url."""
    port, controller_port = free_ports(2)
    yield from _serve(
        lambda: kafka_server.prepare(live_directory / "kafka", port, controller_port),
        live_directory / "kafka.log",
    )


@pytest.fixture(scope="session")
def postgres(live_directory: Path) -> Iterator[LiveServer]:
    """A Postgres with an empty database; `url` is a registry_url."""
    (port,) = free_ports(1)
    yield from _serve(
        lambda: postgres_server.prepare(live_directory / "postgres", port), live_directory / "postgres.log"
    )


@pytest.fixture(scope="session")
def redis(live_directory: Path) -> Iterator[LiveServer]:
    """An empty Redis; `url` is a keys_url."""
    (port,) = free_ports(1)
    yield from _serve(
        lambda: redis_server.prepare(live_directory / "redis", port), live_directory / "redis.log"
    )


def _serve(prepare: Callable[[], Server], log: Path) -> Iterator[LiveServer]:
    try:
        server = LiveServer(prepare, log)
    except ServerFailed as missing:
        skip_or_fail(missing)
    try:
        server.start()
        yield server
    finally:
        server.stop()
