"""What both sides stand on: one real Kafka, Postgres and Redis, with a tenant whose token may send much."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Self

from bench.patience import patiently
from bench.processes import Group, Running, cpu_s
from bus import open_bus
from bus.kafka.topics import create_topics
from deploy.dev import kafka, postgres, redis
from deploy.dev.server import free_ports
from schemas.settings import Settings
from schemas.topics import ALL, RAW
from stores.migrations import migrate_registry
from stores.registry import open_registry

PEER_TOPIC = "bench.peer"
CLIENT_ID = 3
REQUESTS_MINUTE = 1_000_000_000
"""Far above what any server takes, and still decided as every limit over 1,000 a minute is."""


@contextmanager
def new_home() -> Iterator[Path]:
    """Give a new directory that is removed at the end. Others may pass through it: Postgres is not root."""
    home = Path(mkdtemp(prefix="penstock-bench-"))
    home.chmod(0o711)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@dataclass(frozen=True)
class Ground:
    """The running servers; `settings` reach them, `tokens` is a file with one secret a line."""

    home: Path
    settings: Settings
    tokens: Path
    broker: Running | None
    group: Group

    @classmethod
    def start(cls, home: Path, *, partitions: int = 8, tenants: int = 1) -> Self:
        """Start the servers and make topics, tenants and tokens. Raises ServerFailed."""
        kafka_port, controller_port, postgres_port, redis_port = free_ports(4)
        group = Group(home / "log")
        try:
            broker = group.start(kafka.prepare(home / "kafka", kafka_port, controller_port))
            database = group.start(postgres.prepare(home / "postgres", postgres_port))
            limits = group.start(redis.prepare(home / "redis", redis_port))
            settings = Settings(
                home=str(home),
                bus_url=broker.server.url,
                bus_partitions=partitions,
                registry_url=database.server.url,
                keys_url=limits.server.url,
            )
            tokens = home / "tokens.txt"
            tokens.write_text("\n".join(asyncio.run(_prepare(settings, tenants))) + "\n")
        except BaseException:
            group.__exit__()
            raise
        return cls(home, settings, tokens, broker, group)

    @classmethod
    def embedded(cls, home: Path) -> Self:
        """Prepare the embedded default, which needs no server: SQLite for bus and registry."""
        settings = Settings(home=str(home))
        tokens = home / "tokens.txt"
        tokens.write_text("\n".join(asyncio.run(_prepare_registry(settings, 1))) + "\n")
        return cls(home, settings, tokens, None, Group(home / "log"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.group.__exit__()

    def records(self, topic: str = RAW) -> int:
        """Return how many records `topic` has, by its end offsets."""
        return patiently(lambda: asyncio.run(end_offsets(self.settings, topic)))

    def kafka_cpu_s(self) -> float:
        """Return the CPU seconds of the broker so far."""
        return cpu_s([self.broker.pid]) if self.broker is not None else 0.0


async def end_offsets(settings: Settings, topic: str) -> int:
    """Return the sum of the end offsets of a topic that nothing was deleted from."""
    async with open_bus(settings) as bus:
        return sum(end for _, end in (await bus.ends(topic)).values())


async def _prepare(settings: Settings, tenants: int) -> list[str]:
    await create_topics(settings, (*ALL, PEER_TOPIC))
    return await _prepare_registry(settings, tenants)


async def _prepare_registry(settings: Settings, tenants: int) -> list[str]:
    await migrate_registry(settings)
    return await add_tokens(settings, tenants)


async def add_tokens(settings: Settings, tenants: int) -> list[str]:
    """Add that many tenants, each with one relo token whose limit is raised; return the secrets."""
    secrets = []
    limits = {"relo.batch": REQUESTS_MINUTE}
    async with open_registry(settings) as registry:
        for number in range(tenants):
            tenant = await registry.add_tenant(f"bench-{number}", f"Bench {number}")
            _, secret = await registry.add_token(
                tenant.id, "relo", scopes=("write",), client_ids=(CLIENT_ID,), limits=limits
            )
            secrets.append(secret)
    return secrets
