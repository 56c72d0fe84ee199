"""What one attempt decided stands after a crash, and the next one leaves no wrong claim behind."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from schemas.topics import DEAD, RAW, Coordinates
from stores.base import StoreUnavailable
from stores.registry import KeyClaim, SqlRegistry
from tests.crash_points import arm
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow.duplicating import KEYS, System, keyed, open_system

OTHER = Coordinates(1, RAW, 1, 777)
"""Where the first event with the key stands, on another partition: it owns the key, and then dies."""


class Crash(Exception):
    """The worker is gone."""


@pytest.fixture
async def system(clickhouse: EmbeddedClickHouse, tmp_path: Path) -> AsyncIterator[System]:
    async with open_system(clickhouse, tmp_path) as opened:
        yield opened


@pytest.fixture
async def event_id(system: System, monkeypatch: pytest.MonkeyPatch) -> str:
    """An event that is on record as a duplicate of OTHER, in a range that nobody committed."""
    made = keyed()
    registry = system.use.registry
    await registry.claim_keys([KeyClaim(1, made, OTHER)])
    await system.send(made)

    def crash(point: str) -> None:
        if point == "after_store":
            raise Crash

    with monkeypatch.context() as patched:
        arm(crash, patched)
        with pytest.raises(Crash):
            await system.drain()
    await registry.release_keys([KeyClaim(1, made, OTHER)])
    assert (await system.stored(), await system.duplicates()) == ([], [made])
    return made


async def replayed(system: System, event_id: str) -> None:
    """Let the letter of OTHER be replayed, and the client send the event once more."""
    await system.send(event_id, replay_of=str(OTHER), key=KEYS[1])
    await system.drain()
    await system.send(event_id, key=KEYS[1])
    await system.drain()


async def test_who_stays_a_duplicate_does_not_own_the_key(system: System, event_id: str) -> None:
    """Judged again it finds the key free and claims it; the outcome on record stands all the same."""
    await system.drain()
    assert (await system.stored(), await system.duplicates()) == ([], [event_id])
    await replayed(system, event_id)
    assert await system.stored() == [event_id]
    assert await system.duplicates() == [event_id] * 2


async def test_the_key_is_given_back_though_the_registry_was_away(
    system: System, event_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, calls = SqlRegistry.release_keys, list[Sequence[KeyClaim]]()

    async def away_once(self: SqlRegistry, claims: Sequence[KeyClaim]) -> None:
        calls.append(claims)
        if len(calls) == 1:
            raise StoreUnavailable("away for a moment")
        await release(self, claims)

    monkeypatch.setattr(SqlRegistry, "release_keys", away_once)
    await system.drain()
    assert [[claim.event_id for claim in claims] for claims in calls] == [[event_id]] * 2
    await replayed(system, event_id)
    assert await system.stored() == [event_id]
    assert sum(end for _, end in (await system.bus.ends(DEAD)).values()) == 0
