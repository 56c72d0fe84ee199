"""workers/webhooks/intake.py: a match is entered before its offset is committed; nothing stops the rest."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from msgspec import Raw, json, structs
from prometheus_client import REGISTRY

from bus.base import Claim, Record
from bus.memory import MemoryBus, MemoryLog
from schemas.erasures import digest
from schemas.matches import FilterName, Match, encode_match
from schemas.persons import identifier
from schemas.topics import MATCHED, READERS, Partition
from stores.base import StoreUnavailable
from stores.registry import NewDelivery, Suppression
from workers import backoff
from workers.webhooks.endpoints import Endpoints
from workers.webhooks.intake import Intake, start_of


class Registry:
    """Keeps what it took, by id; is down for `failures` questions."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.taken: dict[str, NewDelivery] = {}

        self.suppressed: list[Suppression] = []

    async def suppressions_after(self, seq: int, rows_max: int) -> Sequence[Suppression]:
        return self.suppressed[seq : seq + rows_max]

    async def take_deliveries(self, batch: Sequence[NewDelivery], *, keep_trying_ms: int) -> int:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("down")
        before = len(self.taken)
        for one in batch:
            self.taken.setdefault(one.match_id, one)
        return len(self.taken) - before


def match(*, third_parties: bool = True, id: str = "") -> Match:
    return Match(
        id=id or str(uuid4()),
        filter=FilterName(str(uuid4()), "Orders"),
        tenant_id=1,
        matched_at="2026-04-02T12:00:00.000Z",
        third_parties=third_parties,
        event=Raw(b'{"event_id":"e"}'),
    )


def record(told: Match) -> Record:
    return Record(told.id.encode(), encode_match(told))


@asynccontextmanager
async def taking(log: MemoryLog, registry: Registry) -> AsyncIterator[Intake]:
    stop, took = asyncio.Event(), asyncio.Event()
    intake = Intake(MemoryBus(log), registry, stop, took, Endpoints(), fresh_s=0)  # type: ignore[arg-type]
    running = asyncio.create_task(intake.run())
    try:
        async with asyncio.timeout(20):
            yield intake
    finally:
        stop.set()
        await running


async def committed(log: MemoryLog) -> None:
    """Return when all of the log is committed."""
    bus = MemoryBus(log)
    while True:
        done = await bus.committed(MATCHED, group=READERS[MATCHED])
        ends = await bus.ends(MATCHED)
        if all(done.get(partition, (first, ""))[0] == end for partition, (first, end) in ends.items()):
            return
        await asyncio.sleep(0.01)


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog(partitions=2, inc=1)


async def test_what_may_be_sent_is_entered_and_nothing_stops_the_rest(log: MemoryLog) -> None:
    good, inside = match(), match(third_parties=False)
    broken = (Record(b"k", value) for value in (b"", b"no match", b"[]", b"\xff", b'{"v":9}'))
    records = [*broken, record(inside), record(match(id="no uuid")), record(good), record(good)]
    await MemoryBus(log).publish(MATCHED, records)
    registry = Registry()
    async with taking(log, registry):
        await committed(log)
    assert list(registry.taken) == [good.id]
    assert registry.taken[good.id].filter_id == good.filter.id
    assert registry.taken[good.id].body.encode() == encode_match(good)


async def test_nothing_is_committed_before_it_is_entered(
    log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "FIRST_S", 0.01)
    told = [match() for _ in range(20)]
    await MemoryBus(log).publish(MATCHED, [record(one) for one in told])
    down = Registry(failures=10**6)
    async with taking(log, down):
        await asyncio.sleep(0.3)
    assert await MemoryBus(log).committed(MATCHED, group=READERS[MATCHED]) == {}
    up = Registry(failures=3)
    async with taking(log, up):
        await committed(log)
    assert set(up.taken) == {one.id for one in told}


async def test_the_lag_grows_while_nothing_can_be_entered(
    log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "FIRST_S", 0.01)
    monkeypatch.setattr(backoff, "LONGEST_S", 0.01)
    monkeypatch.setattr("workers.gauges.EVERY_S", 0.0)

    def lag() -> float:
        labels = [{"topic": MATCHED, "partition": str(index)} for index in (0, 1)]
        return sum(REGISTRY.get_sample_value("penstock_worker_lag_records", each) or 0 for each in labels)

    down = Registry(failures=10**6)
    await MemoryBus(log).publish(MATCHED, [record(match())])
    async with taking(log, down):
        while down.failures == 10**6:
            await asyncio.sleep(0.01)
        await MemoryBus(log).publish(MATCHED, [record(match()) for _ in range(10)])
        while lag() != 10:
            await asyncio.sleep(0.01)


async def test_who_was_erased_meanwhile_is_only_noted(log: MemoryLog) -> None:
    """The topic was not read for a while: what it has of an erased person is never sent."""

    def told(tenant_id: int, email: str) -> Match:
        event = {"event_id": "e", "dialect": "redo", "source": "store-1", "email": email, "properties": {}}
        return structs.replace(match(), tenant_id=tenant_id, event=Raw(json.encode(event)))

    ann, joann, theirs = told(1, "ann@a.example"), told(1, "joann@a.example"), told(2, "ann@a.example")
    registry = Registry()
    named = identifier(1, "redo/store-1", "email", "ann@a.example")
    registry.suppressed = [Suppression(1, 1, digest(named), True)]
    await MemoryBus(log).publish(MATCHED, [record(one) for one in (ann, joann, theirs)])
    async with taking(log, registry):
        await committed(log)
    assert {id for id, one in registry.taken.items() if one.suppressed} == {ann.id}
    assert set(registry.taken) == {ann.id, joann.id, theirs.id}


@pytest.mark.parametrize(("committed_at", "start"), [(None, 5), (5, 5), (7, 7), (9, 9), (3, 5), (10, 5)])
def test_a_log_that_was_cut_is_read_from_where_it_begins(committed_at: int | None, start: int) -> None:
    claim = Claim(Partition(MATCHED, 0), 1, 1, committed_at, "", log_start=5, log_end=9)
    assert start_of(claim) == start
