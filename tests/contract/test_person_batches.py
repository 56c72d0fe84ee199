"""A batch judged as a whole gives each event, and the registry, what its events would one after the other."""

import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from schemas.event import Event
from schemas.settings import Settings
from stores.migrations import migrate_registry
from stores.registry import SqlRegistry, open_registry
from tests.contract import customers_contract, test_persons
from tests.contract.person_events import Desk, customer, fresh, shared, visit

settings = test_persons.settings
registry = test_persons.registry
desk = customers_contract.desk

STORED = (
    "SELECT * FROM person_links",
    "SELECT * FROM person_pairs",
    # Of persons who are one, which is seen as which depends on the batches, and so does the time.
    "SELECT tenant_id, person_id FROM person_overrides"
    " UNION SELECT tenant_id, canonical_id FROM person_overrides",
)


def some_event(chance: random.Random, offset: int, names_max: int) -> Event:
    """An event of few devices and customers, so that they meet."""
    email = chance.choice(["", "", "ann@shop.example", "bob@shop.example"])
    changes: dict[str, Any] = {"tenant_id": chance.choice([1, 1, 2]), "settings": shared(names_max)}
    if chance.random() < 0.35:
        phone = chance.choice(["", "+491701234567"])
        return customer(offset, chance.choice(["", "user-1", "user-2"]), email, phone, **changes)
    user = chance.choice(["", "", "", "user-1", "user-2", "user-3"])
    return visit(offset, chance.choice(["dev-1", "dev-2", "dev-3"]), user, email=email, **changes)


def some_batches(chance: random.Random) -> list[list[Event]]:
    """Batches of one partition, sometimes with one that is judged again later."""
    names_max, count = chance.choice([1, 2, 5]), chance.randrange(4, 30)
    events = [some_event(chance, offset, names_max) for offset in range(count)]
    cuts = [0, *sorted(chance.sample(range(1, count), 2)), count]
    batches = [events[start:end] for start, end in pairwise(cuts)]
    if chance.random() < 0.4:
        batches.append([fresh(each) for each in chance.choice(batches)])
    return batches


async def outcome(home: Path, batches: Sequence[Sequence[Event]]) -> tuple[object, object]:
    """Let one worker judge batches over a registry of its own."""
    home.mkdir()
    settings = Settings(home=str(home))
    await migrate_registry(settings)
    async with open_registry(settings) as registry:
        desk = Desk(registry)
        worker = desk.worker()
        for batch in batches:
            await desk.judge(*batch, by=worker)
        told = [(each.person_id, each.flags, each.profile, each.phone) for batch in batches for each in batch]
        return told, [row for sql in STORED for row in await _rows(registry, sql)]


async def _rows(registry: SqlRegistry, sql: str) -> list[tuple[object, ...]]:
    return sorted((tuple(row) for row in await registry._database.read(text(sql))), key=repr)


@pytest.mark.parametrize("seed", range(12))
async def test_a_batch_is_its_events_one_after_the_other(tmp_path: Path, seed: int) -> None:
    together = await outcome(tmp_path / "together", some_batches(random.Random(seed)))
    alone = [[each] for batch in some_batches(random.Random(seed)) for each in batch]
    assert together == await outcome(tmp_path / "alone", alone)


async def test_of_a_new_device_one_event_is_asked_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = desk.worker()
    asked: list[int] = []
    resolve = worker._resolver.resolve

    async def counted(batch: Any) -> Any:
        asked.append(len(batch))
        return await resolve(batch)

    monkeypatch.setattr(worker._resolver, "resolve", counted)
    await desk.person(*[visit(offset, "dev-1") for offset in range(50)], by=worker)
    assert asked == [1]
    # What links the device lies in between: what came after it is decided anew, all in one call.
    names = ["", "", "user-1", "", ""]
    await desk.judge(*[visit(50 + place, "dev-2", name) for place, name in enumerate(names)], by=worker)
    assert asked == [1, 2, 3]
