"""With several replicas nothing is counted on a server that may be behind."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bus.base import Batch, Taken
from bus.memory import MemoryBus, MemoryLog
from schemas.rows import EVENTS
from schemas.topics import Coordinates
from stores.base import QueryRefused, StoreUnavailable
from tests.unit.workers.recorder import Recorder
from tests.unit.workers.running import claim, envelope
from workers.buried import buried
from workers.earlier import Earlier
from workers.ranges import Range
from workers.recovery import Written
from workers.replicas import Replicas


class Statements(Recorder):
    """Keeps queries and statements in their order."""

    async def query(
        self, sql: str, params: Mapping[str, Any] | None = None, *, threads_max: int | None = None
    ) -> list[dict[str, Any]]:
        self.statements.append(sql)
        return [{"complete": 0}] if "complete" in sql else []

    async def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        self.statements.append(sql)


async def ask_everything(warehouse: Recorder, cluster: str) -> None:
    written = Written(warehouse, EVENTS, outcomes=True, cluster=cluster)
    range_ = Range(
        claim=claim(), start=0, end=1, table=EVENTS, stored={0: "row"}, times=(0, 1), last_digest=""
    )
    for table in ("events", "outcomes", "batches"):
        await written.copies(range_, table)
    await written.outcomes(range_)
    await written.tail(range_.claim)
    await written.apply_patches([range_])
    earlier, at = Earlier(warehouse, cluster), Coordinates(1, "events.raw", 0, 9)
    await earlier.requests(at, 0)
    await earlier.stored([1], ["x"])
    batch = Batch(claim(), [Taken(0, b"k", envelope(0))])
    await buried(batch, MemoryBus(MemoryLog(partitions=1, inc=1)), warehouse, written.replicas)


def unsynced(statements: Sequence[str]) -> list[str]:
    """Return the questions before which their table was not brought up to date."""
    found = []
    for before, sql in zip(["", *statements], statements, strict=False):
        table = re.search(r"FROM (\w+)", sql)
        if table and before != f"SYSTEM SYNC REPLICA {SOURCES.get(table[1], table[1])} LIGHTWEIGHT":
            found.append(sql)
    return found


SOURCES = {"customer_changes": "customer_patches"}
"""A view reads from its table."""


async def test_a_replica_catches_up_before_it_is_asked() -> None:
    warehouse = Statements()
    await ask_everything(warehouse, "main")
    assert len(warehouse.statements) >= 20
    assert unsynced(warehouse.statements) == []


async def test_a_single_server_is_not_asked_to() -> None:
    warehouse = Statements()
    await ask_everything(warehouse, "")
    assert not [sql for sql in warehouse.statements if sql.startswith("SYSTEM")]


@pytest.mark.parametrize(
    ("cluster", "words"), [("main", "KILL QUERY ON CLUSTER 'main' WHERE"), ("", "KILL QUERY WHERE")]
)
async def test_inserts_are_ended_on_every_server(cluster: str, words: str) -> None:
    warehouse = Statements()
    await Written(warehouse, EVENTS, outcomes=True, cluster=cluster).kill_inserts(claim())
    assert warehouse.statements[0].startswith(words)


class Refusing(Statements):
    async def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        raise QueryRefused("not enough privileges")


async def test_without_the_privilege_nothing_is_counted() -> None:
    with pytest.raises(StoreUnavailable, match="needs the privilege"):
        await Replicas(Refusing(), "main").catch_up("events")
