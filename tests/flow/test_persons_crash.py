"""A worker is killed between links, patches and events: the next one finds the same persons."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from schemas.persons import Kind, customer_scope, identifier
from schemas.rows import LANDING
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow import person_child
from tests.flow.whole import REDO, Whole, open_whole
from tests.flow.worker_child import ended

TABLES = (*LANDING, "customer_fields", "person_overrides")


@pytest.fixture
async def whole(clickhouse: EmbeddedClickHouse, tmp_path: Path) -> AsyncIterator[Whole]:
    async with open_whole(clickhouse, "persons_crash", tmp_path, tables=TABLES) as opened:
        yield opened


async def send(whole: Whole) -> None:
    """90 events of 30 ids and 25 e-mail addresses, on any day of a month."""
    sent = [
        {
            "eventName": "Profile Updated",
            "customer": {"id": f"cust-{n % 30}", "email": f"{n % 25}@example.com", "firstName": str(n)},
            "eventTimestamp": f"2026-01-{n * 11 % 28 + 1:02}T00:00:00Z",
        }
        for n in range(90)
    ]
    answer = await whole.send("/v2.2/stores/dev-store/events/bulk", {"events": sent}, REDO)
    assert answer.status_code == 202


@pytest.mark.parametrize(
    "crash_at",
    [
        "after_intent",  # links are in the registry, nothing is in the warehouse
        "after_insert:1",  # a range's patches are in the warehouse and not applied
        "before_insert:2",  # patches are applied, no event is stored
    ],
)
async def test_a_worker_is_killed_and_the_next_goes_on(whole: Whole, crash_at: str) -> None:
    await send(whole)
    process = person_child.start(whole.settings, crash_at=crash_at)
    assert await ended(process) == -signal.SIGKILL, (Path(whole.settings.home) / "worker.log").read_text()
    before = {link["value"]: link for link in await links(whole)}
    assert before
    stored = {
        row["event_id"]: row["person_id"] for row in await whole.query("SELECT * FROM customer_patches")
    }
    await whole.settle()
    after = {link["value"]: link for link in await links(whole)}
    assert {value: after[value] for value in before} == before
    patches = await whole.query("SELECT * FROM customer_patches")
    assert len(patches) == 90
    persons = {row["event_id"]: row["person_id"] for row in patches}
    assert {event_id: persons[event_id] for event_id in stored} == stored
    rows = await whole.query("SELECT event_id, person_id FROM events")
    assert {row["event_id"]: row["person_id"] for row in rows} == persons
    assert len(rows) == 90
    for row in await whole.query("SELECT * FROM customers"):
        [newest] = await whole.query(
            "SELECT argMax(JSONExtractString(raw, 'customer', 'firstName'), (occurred_at, kp, ko)) AS name "
            f"FROM events WHERE person_id = '{row['person_id']}'"
        )
        assert row["first_name"] == newest["name"]
    await whole.books()


async def links(whole: Whole) -> list[dict[str, Any]]:
    found = []
    for n in range(30):
        given: list[tuple[Kind, str]] = [("id", f"cust-{n}"), ("email", f"{n}@example.com")]
        for kind, value in given:
            named = identifier(1, customer_scope("redo", "dev-store"), kind, value)
            person = await whole.use.registry.person_of(named)
            found += [{"value": value, "person": person}] if person else []
    return found
