"""ClickHouse, gateways and workers on the ground's servers: what the sections past the gateway use."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from msgspec.structs import replace

from bench.ground import Ground
from bench.patience import patiently
from bench.processes import Group, Running, cpu_s
from bench.sides import maker
from deploy.dev.plan import clickhouse
from deploy.dev.rundir import Ports
from deploy.dev.server import free_ports
from schemas.settings import Settings
from stores.migrate import migrate
from stores.warehouse import open_warehouse


@dataclass
class Warehouse:
    """A running ClickHouse; `settings` reach it and the ground's servers."""

    ground: Ground
    group: Group
    settings: Settings
    port: int
    engine: Running

    @classmethod
    def start(cls, ground: Ground, group: Group) -> Self:
        """Start it and bring it to the newest schema. Raises ServerFailed."""
        (port,) = free_ports(1)
        settings = replace(ground.settings, clickhouse_url=f"clickhouse://127.0.0.1:{port}/penstock")
        engine = group.start(_server(ground, port))
        asyncio.run(_migrate(settings))
        return cls(ground, group, settings, port, engine)

    def stop(self) -> None:
        """Stop the engine, as in an outage."""
        self.group.running.remove(self.engine)
        self.engine.stop()

    def come_back(self) -> None:
        """Start the engine on the same port and files."""
        self.engine = self.group.start(_server(self.ground, self.port))

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Ask it. Raises StoreUnavailable."""
        return patiently(lambda: asyncio.run(_query(self.settings, sql)))

    def execute(self, sql: str) -> None:
        """Have it do something that may take minutes."""
        asyncio.run(_execute(self.settings, sql))

    def events(self) -> int:
        """Return how many events are queryable."""
        return int(self.query("SELECT count() AS n FROM events")[0]["n"])

    def cpu_s(self) -> float:
        """Return the engine's CPU seconds so far."""
        return cpu_s([self.engine.pid])

    def start_workers(self, count: int) -> Sequence[Running]:
        """Start that many workers of the pipeline `events`."""
        make = maker(self.settings)
        ports = free_ports(count)
        return [
            self.group.start(make.part(f"worker-events-{number}", ("worker", "events"), port))
            for number, port in enumerate(ports, 1)
        ]

    def end(self, parts: Sequence[Running]) -> None:
        """Stop workers before the rest."""
        for part in parts:
            self.group.running.remove(part)
            part.stop()


def _server(ground: Ground, port: int) -> Any:
    ports = Ports(gateway=0, api=0, clickhouse=port, admin={})
    return clickhouse(ports, ground.home)


async def _migrate(settings: Settings) -> None:
    async with open_warehouse(settings) as warehouse:
        await migrate(warehouse, cluster="")


async def _query(settings: Settings, sql: str) -> list[dict[str, Any]]:
    async with open_warehouse(settings) as warehouse:
        return [dict(row) for row in await warehouse.query(sql)]


async def _execute(settings: Settings, sql: str) -> None:
    async with open_warehouse(settings) as warehouse:
        await warehouse.execute(sql)
