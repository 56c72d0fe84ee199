"""What the tests of duplicates share: a log, a registry, a database, and workers that come and go."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4, uuid5

from bus import open_bus
from bus.base import Batch, Bus, Claim, Record, Taken
from schemas.event import Event
from schemas.topics import RAW, Coordinates
from stores.migrations import migrate_registry
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow.worker_child import complete, settings
from tests.unit.workers.running import RECEIVED_AT, envelope, events_only
from workers.judging import decode
from workers.partitions import Limits
from workers.pipelines.events import read_event
from workers.resources import Resources, open_resources
from workers.run import run_pipeline
from workers.stage import KEEP, Dead, Verdict
from workers.stages.duplicate import Duplicates

LIMITS = Limits(records_max=20_000, bytes_max=32 * 2**20, wait_ms=5)
KEYS = (b"1|a", b"1|c")  # in different ones of two partitions


@dataclass
class Killer:
    """A stage after `duplicate` in which every event dies while it is armed."""

    name: str = "killer"
    armed: bool = False

    async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
        return [Dead("planted", "killed by the test") if self.armed else KEEP for _ in events]


@dataclass
class System:
    """The log, the registry and one database, and workers that come and go."""

    use: Resources
    bus: Bus
    killer: Killer = field(default_factory=Killer)

    async def send(
        self, *ids: str, key: bytes = KEYS[0], at_ms: int = RECEIVED_AT, replay_of: str = ""
    ) -> None:
        """Publish one attempt of a request, received at `at_ms`."""
        changes = {"received_at": at_ms, "of": len(ids), "replay_of": replay_of or None}
        records = [
            Record(key, envelope(n, id=event_id, index=n, **changes)) for n, event_id in enumerate(ids)
        ]
        await self.bus.publish(RAW, records)

    async def drain(self) -> None:
        """Let a new worker, which remembers nothing, work until the log is read."""
        stop = asyncio.Event()
        running = asyncio.create_task(
            run_pipeline(
                events_only([Duplicates(self.use), self.killer], LIMITS),
                bus=self.bus,
                warehouse=self.use.warehouse,
                stop=stop,
                sock=socket.create_server(("127.0.0.1", 0)),
            )
        )
        async with asyncio.timeout(60):
            while not await complete(self.bus) and not running.done():
                await asyncio.sleep(0.02)
        stop.set()
        await running

    async def stored(self) -> list[str]:
        """Return the ids of all rows, as they were received."""
        rows = await self.use.warehouse.query(
            "SELECT toString(event_id) AS id FROM events ORDER BY received_at, kp, ko"
        )
        return [row["id"] for row in rows]

    async def duplicates(self) -> list[str]:
        """Return the first event's id of every duplicate."""
        rows = await self.use.warehouse.query(
            "SELECT toString(first_event_id) AS id FROM outcomes WHERE outcome = 'duplicate'"
            " ORDER BY received_at, kp, ko"
        )
        return [row["id"] for row in rows]


@asynccontextmanager
async def open_system(clickhouse: EmbeddedClickHouse, home: Path) -> AsyncIterator[System]:
    """Begin with an empty log, an empty registry and a database of its own."""
    database = f"duplicates_{uuid4().hex}"
    await clickhouse.migrate(database)
    use = settings(home, clickhouse.url_of(database))
    await migrate_registry(use)
    async with open_bus(use) as bus, open_resources(use) as resources:
        yield System(resources, bus)


def keyed() -> str:
    """An id made of an explicit key."""
    return str(uuid5(uuid4(), "key"))


def request(count: int) -> list[str]:
    """The ids of a request, made of its bytes."""
    prefix = str(uuid4())[:28]
    return [f"{prefix[:14]}8{prefix[15:]}{n:08x}" for n in range(count)]


async def events_of(system: System) -> list[Event]:
    """Decode all of events.raw, as a worker does."""
    events: list[Event] = []
    for partition, (start, end) in (await system.bus.ends(RAW)).items():
        records = await system.bus.read(partition, start=start, end=end)
        batch = Batch(Claim(partition, 1, 1, None, "", start, end), records)
        events += decode(batch, read_event, {}).items
    return events


async def records_at(system: System, offset: int) -> list[tuple[Coordinates, Taken]]:
    """Return the record at `offset` of each partition that has one."""
    return [
        (Coordinates(1, RAW, partition.index, offset), record)
        for partition in await system.bus.ends(RAW)
        for record in await system.bus.read(partition, start=offset, end=offset + 1)
    ]
