"""Settings of tenants in a worker: as the registry has them, soon, and through an outage."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from schemas.envelope import Rejected
from schemas.rows import EVENT_PARTS, OUTCOME_PARTS, QUARANTINE_PARTS
from schemas.settings import Settings
from schemas.tenants import Tenant, TenantRef, TenantSettings
from schemas.topics import REJECTED, Coordinates
from stores.base import Registry, StoreUnavailable
from tests.unit.workers.judged import event
from workers import tenants
from workers.pipelines.events import outcome, row
from workers.pipelines.quarantine import Letter
from workers.pipelines.quarantine import row as letter_row
from workers.resources import Resources
from workers.stage import KEEP, Drop, Duplicate, Unavailable
from workers.stages.tenant import Tenant as TenantStage
from workers.tenants import OLD_S, RETRY_S, Tenants


class Directory:
    """A registry in memory that can be down."""

    def __init__(self) -> None:
        self.days = {1: 10, 2: 20}
        self.down = False
        self.asked: list[list[str]] = []

    async def find_tenants(self, refs: Sequence[TenantRef]) -> Mapping[TenantRef, Tenant]:
        self.asked.append(sorted(ref.value for ref in refs))
        if self.down:
            raise StoreUnavailable("down")
        return {
            ref: Tenant(int(ref.value), "uuid", "slug", "name", True, _kept(self.days[int(ref.value)]))
            for ref in refs
            if int(ref.value) in self.days
        }


def _kept(days: int) -> TenantSettings:
    return TenantSettings(events_days=days, quarantine_days=days + 1)


@pytest.fixture
def directory() -> Directory:
    return Directory()


class Clock:
    """Time that moves only when a test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(tenants, "monotonic", clock)
    return clock


async def days(known: Tenants, *tenant_ids: int) -> list[int]:
    settings = await known.settings(set(tenant_ids))
    return [settings[tenant_id].events_days for tenant_id in tenant_ids]


def read(directory: Directory, *, fresh_s: float = 15.0) -> Tenants:
    return Tenants(cast(Registry, directory), fresh_s=fresh_s)


async def test_the_tenants_of_a_batch_are_asked_for_together_and_once(
    directory: Directory, clock: Clock
) -> None:
    known = read(directory)
    assert await days(known, 1, 2) == [10, 20]
    assert await days(known, 2, 1) == [20, 10]
    assert directory.asked == [["1", "2"]]


async def test_what_the_registry_does_not_know_has_the_defaults(directory: Directory, clock: Clock) -> None:
    known = read(directory)
    assert await days(known, 0, 3, 1) == [400, 400, 10]
    assert directory.asked == [["1", "3"]]


@pytest.mark.parametrize("fresh_s", [15.0, 3_600.0])
async def test_a_change_is_seen_within_30_s(directory: Directory, clock: Clock, fresh_s: float) -> None:
    known = read(directory, fresh_s=fresh_s)
    await days(known, 1)
    directory.days[1] = 11
    clock.now_s += min(fresh_s, OLD_S) - 1
    assert await days(known, 1) == [10]
    clock.now_s += 1
    assert await days(known, 1) == [11]


async def test_an_outage_leaves_what_is_known_and_asks_seldom(directory: Directory, clock: Clock) -> None:
    known = read(directory)
    await days(known, 1, 2)
    directory.down = True
    clock.now_s += 10_000
    for _ in range(100):
        assert await days(known, 1, 2) == [10, 20]
        with pytest.raises(Unavailable, match="tenant 3"):
            await days(known, 3)
    assert directory.asked == [["1", "2"], ["1", "2"]]
    directory.down = False
    directory.days[1] = 12
    clock.now_s += RETRY_S
    assert await days(known, 1, 3) == [12, 400]


async def test_the_memory_is_bounded(
    directory: Directory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenants, "TENANTS_MAX", 3)
    known = read(directory)
    for tenant_id in range(1, 20):
        await days(known, 1, tenant_id)
    assert len(known._known) == 3
    assert directory.asked == [[str(tenant_id)] for tenant_id in range(1, 20)]


async def test_a_batch_of_more_tenants_than_are_remembered(
    directory: Directory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenants, "TENANTS_MAX", 3)
    known = read(directory)
    for _ in range(2):
        assert await days(known, 1, 2, 3, 4, 5) == [10, 20, 400, 400, 400]
    assert len(known._known) == 3


async def test_rows_are_kept_as_long_as_the_tenant_says(directory: Directory) -> None:
    use = cast(Resources, SimpleNamespace(registry=directory, settings=Settings()))
    stored = event(tenant_id=2)
    content = Rejected(
        v=1,
        id="x",
        dialect="relo",
        endpoint="batch",
        tenant=2,
        received_at=1,
        request="r",
        code="c",
        message="m",
        raw="",
    )
    letter = Letter(1, content, Coordinates(1, REJECTED, 0, 0))
    assert await TenantStage(use).judge([stored, letter]) == [KEEP] * 2
    assert _days(row(stored), EVENT_PARTS) == 20
    assert _days(outcome(stored, Drop("x")), OUTCOME_PARTS) == 20
    assert _days(outcome(stored, Duplicate(stored.event_id)), OUTCOME_PARTS) == 20
    assert _days(letter_row(letter), QUARANTINE_PARTS) == 21


def _days(made: str, parts: tuple[str, ...]) -> object:
    return msgspec.json.decode(made)[parts.index("retention_days")]
