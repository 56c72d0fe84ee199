"""Rejected and dead events become rows of `quarantine`, each once, and no letter is the start of a chain."""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from typing import cast

from bus.base import Record
from bus.memory import MemoryBus, MemoryLog
from schemas.envelope import VERSION, Rejected, encode
from schemas.settings import Settings
from schemas.tenants import Tenant, TenantRef
from schemas.topics import DEAD, RAW, REJECTED
from stores.geo import Geo
from stores.keys.memory import MemoryKeys
from stores.registry import SqlRegistry
from tests.unit.workers.recorder import Recorder
from tests.unit.workers.running import RECEIVED_AT, System, event_id
from workers.intent import Note
from workers.pipelines.quarantine import quarantine_pipeline
from workers.resources import Resources
from workers.run import run_pipeline


def rejected(n: int) -> Record:
    letter = Rejected(
        v=VERSION,
        id=event_id(n),
        dialect="relo",
        endpoint="batch",
        tenant=1,
        received_at=RECEIVED_AT + n,
        request=f"request-{n}",
        code="ts_in_seconds",
        message="ts must be in milliseconds",
        raw='{"ts":1}',
    )
    return Record(b"1|v%d" % n, encode(letter))


class NoTenants:
    """A registry without tenants: all have the defaults."""

    async def find_tenants(self, refs: Sequence[TenantRef]) -> Mapping[TenantRef, Tenant]:
        return {}


async def run(system: System) -> None:
    """Run the pipeline until both topics are complete."""
    registry = cast(SqlRegistry, NoTenants())
    use = Resources(
        settings=Settings(worker_wait_ms=1),
        warehouse=system.warehouse,
        registry=registry,
        keys=MemoryKeys(),
        geo=Geo(),
    )
    stop = asyncio.Event()
    sock = socket.create_server(("127.0.0.1", 0))
    running = asyncio.create_task(
        run_pipeline(
            quarantine_pipeline(use),
            bus=MemoryBus(system.log),
            warehouse=system.warehouse,
            stop=stop,
            sock=sock,
        )
    )
    async with asyncio.timeout(5):
        while not all(system.complete("penstock-quarantine", topic) for topic in (REJECTED, DEAD)):
            await asyncio.sleep(0.005)
    stop.set()
    await running


def quarantine(warehouse: Recorder) -> list[dict[str, object]]:
    return [row.row for row in warehouse.rows["quarantine"]]


async def test_rejected_and_dead_events_stand_beside_each_other() -> None:
    system = System()
    await system.bus.publish(REJECTED, [rejected(n) for n in range(10)])
    await system.bus.publish(RAW, [Record(b"k", b"no envelope")])
    await system.drain()
    await run(system)
    rows = quarantine(system.warehouse)
    assert sorted(str(row["code"]) for row in rows) == ["not_an_envelope", *["ts_in_seconds"] * 10]
    dead = next(row for row in rows if row["code"] == "not_an_envelope")
    assert (dead["stage"], dead["src_topic"], dead["raw"]) == ("decode", RAW, "no envelope")
    assert {row["src_topic"] for row in rows if row["stage"] == "gateway"} == {REJECTED}


async def test_an_unreadable_letter_is_quarantined_with_its_text() -> None:
    system = System()
    await system.bus.publish(REJECTED, [Record(b"k", b"what is this"), rejected(1)])
    await system.bus.publish(DEAD, [Record(b"k", b"and this")])
    await run(system)
    rows = quarantine(system.warehouse)
    assert sorted(str(row["raw"]) for row in rows) == ["and this", "what is this", '{"ts":1}']


async def test_a_letter_that_the_warehouse_refuses_ends_in_a_bare_one() -> None:
    system = System(warehouse=Recorder(refuses=lambda row: bool(row.get("raw"))))
    await system.bus.publish(REJECTED, [rejected(1)])
    await run(system)
    (row,) = quarantine(system.warehouse)
    assert (row["code"], row["src_topic"], row["raw"], row["event_id"]) == ("row_refused", REJECTED, "", "")
    assert row["truncated"] == 1


async def test_crashes_and_lost_acknowledgements_double_no_row() -> None:
    system = System(log=MemoryLog(partitions=2, inc=1))
    system.warehouse.faults.extend(["after", "half", "spoilt", "doubled", "before"])
    await system.bus.publish(REJECTED, [rejected(n) for n in range(50)])
    await run(system)
    assert sorted(str(row["event_id"]) for row in quarantine(system.warehouse)) == [
        event_id(n) for n in range(50)
    ]
    offsets = system.log.group(REJECTED, "penstock-quarantine").offsets
    assert all(Note.parse(note).intent is None for _, note in offsets.values())
