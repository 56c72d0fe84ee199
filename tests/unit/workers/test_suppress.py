"""The stage `suppress`: who is erased is dropped, whoever else is not, and the registry may be down."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.erasures import digest
from schemas.event import Event
from schemas.persons import Identifier, identifier
from stores.base import StoreUnavailable
from stores.registry import Suppression
from tests.contract.person_events import TENANT, customer, event, visit
from workers import suppressed
from workers.persons import digests
from workers.pipelines.events import STAGES
from workers.stage import KEEP, Drop, Unavailable
from workers.stages.suppress import Suppress

SCOPE = "redo/store-1"
DROP = Drop("suppressed")


@dataclass
class Registry:
    """A list of changes, and how it was read."""

    changes: list[Suppression] = field(default_factory=list)
    down: bool = False
    asked: list[int] = field(default_factory=list)
    looked_up: int = 0

    def change(self, named: Identifier, *, suppressed: bool = True) -> None:
        seq = len(self.changes) + 1
        self.changes.append(Suppression(seq, named.tenant_id, digest(named), suppressed))

    async def suppressions_after(self, seq: int, rows_max: int) -> Sequence[Suppression]:
        if self.down:
            raise StoreUnavailable("down")
        self.asked.append(seq)
        return self.changes[seq : seq + rows_max]

    async def suppressed_among(self, digests: Sequence[tuple[int, bytes]]) -> set[tuple[int, bytes]]:
        if self.down:
            raise StoreUnavailable("down")
        self.looked_up += 1
        last = {(c.tenant_id, c.digest): c.suppressed for c in self.changes}
        return {each for each in digests if last.get(each)}


def stage(registry: Registry, *, fresh_s: float = 0.0) -> Suppress:
    use: Any = SimpleNamespace(registry=registry, settings=SimpleNamespace(registry_cache_s=fresh_s))
    return Suppress(use)


def named(kind: Any, value: str, *, scope: str = SCOPE, tenant: int = TENANT) -> Identifier:
    return identifier(tenant, scope, kind, value)


@pytest.mark.parametrize(
    "given",
    [
        customer(1, id="cust-1"),
        customer(1, id="other", email="ann@example.com"),
        customer(1, phone="+525512345678"),
        customer(1, id="7"),
        visit(1, "device-1"),
        visit(1, "device-2", "user-1"),
        event(1, dialect="relo", anonymous_id="d", email="mei@example.com"),
    ],
)
async def test_an_event_that_names_an_erased_person_is_dropped(given: Event) -> None:
    registry = Registry()
    for kind, value in (
        ("id", "cust-1"),
        ("email", "ann@example.com"),
        ("phone", "+525512345678"),
        ("id", "7"),
    ):
        registry.change(named(kind, value))
    registry.change(named("device", "device-1", scope="alana"))
    registry.change(named("id", "user-1", scope="alana"))
    registry.change(named("email", "mei@example.com", scope="relo"))
    assert await stage(registry).judge([given, customer(2, id="cust-2")]) == [DROP, KEEP]


@pytest.mark.parametrize(
    "given",
    [
        customer(1, id="cust-1", source="store-2"),
        customer(1, id="cust-1", tenant_id=TENANT + 1),
        customer(1, id="cust-11"),
        customer(1, email="cust-1"),
        visit(1, "cust-1"),
        event(1),
    ],
)
async def test_an_event_of_anybody_else_is_kept(given: Event) -> None:
    registry = Registry()
    registry.change(named("id", "cust-1"))
    assert await stage(registry).judge([given]) == [KEEP]


async def test_only_what_is_new_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppressed, "ROWS_MAX", 2)
    registry = Registry()
    for n in range(5):
        registry.change(named("id", f"cust-{n}"))
    one = stage(registry)
    assert await one.judge([customer(n, id=f"cust-{n}") for n in range(6)]) == [DROP] * 5 + [KEEP]
    assert registry.asked == [0, 2, 4]
    registry.change(named("id", "cust-5"))
    registry.change(named("id", "cust-0"), suppressed=False)
    assert await one.judge([customer(n, id=f"cust-{n}") for n in range(6)]) == [KEEP] + [DROP] * 5
    assert registry.asked == [0, 2, 4, 5, 7]


async def test_the_registry_is_asked_now_and_then() -> None:
    registry = Registry()
    one = stage(registry, fresh_s=3600)
    for _ in range(3):
        assert await one.judge([customer(1, id="cust-1")]) == [KEEP]
    assert registry.asked == [0]


async def test_while_the_registry_is_down_what_is_known_goes_on() -> None:
    registry = Registry(down=True)
    one = stage(registry)
    with pytest.raises(Unavailable):
        await one.judge([customer(1, id="cust-1")])
    registry.down = False
    registry.change(named("id", "cust-1"))
    one = stage(registry)
    assert await one.judge([customer(1, id="cust-1")]) == [DROP]
    registry.down = True
    assert await one.judge([customer(1, id="cust-1"), customer(2, id="cust-2")]) == [DROP, KEEP]


async def test_more_than_are_kept_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry()
    for n in range(4):
        registry.change(named("id", f"cust-{n}"))
    one = stage(registry)
    monkeypatch.setattr(one._suppressed, "_keep_max", 3)
    events = [customer(n, id=f"cust-{n}") for n in range(5)]
    assert await one.judge(events) == [DROP] * 4 + [KEEP]
    assert registry.looked_up == 1
    assert await one.judge([customer(1, id="cust-1", tenant_id=TENANT + 1)]) == [KEEP]
    assert registry.looked_up == 1
    registry.down = True
    with pytest.raises(Unavailable):
        await one.judge(events)


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long identifiers are judged like any other, and not kept; of short ones the last are."""
    monkeypatch.setattr(digests, "ENTRIES_MAX", 10)
    registry = Registry()
    long = "x" * 32_768
    registry.change(named("id", long))
    registry.change(named("id", "cust-1"))
    one = stage(registry, fresh_s=3600)
    remembered = one._suppressed._digests._known
    assert await one.judge([customer(1, id=long), customer(2, id=long + "y")] * 2) == [DROP, KEEP] * 2
    assert len(remembered) == 0
    for _ in range(2):
        judged = await one.judge([customer(n, id=f"cust-{n}") for n in range(100)])
        assert [place for place, verdict in enumerate(judged) if verdict == DROP] == [1]
    assert 5 <= len(remembered) <= 10


async def test_what_is_remembered_of_one_is_not_said_of_another() -> None:
    registry = Registry()
    registry.change(named("id", "cust-1"))
    one = stage(registry, fresh_s=3600)
    given = [
        customer(1, id="cust-1"),
        customer(1, id="cust-1", source="store-2"),
        customer(1, email="cust-1"),
        customer(1, id="cust-1", tenant_id=TENANT + 1),
        visit(1, "cust-1"),
    ]
    for _ in range(2):
        assert await one.judge(given) == [DROP, KEEP, KEEP, KEEP, KEEP]


async def test_who_is_suppressed_later_is_dropped_although_remembered() -> None:
    registry = Registry()
    registry.change(named("id", "cust-2"))
    one = stage(registry)
    assert await one.judge([customer(1, id="cust-1")]) == [KEEP]
    registry.change(named("id", "cust-1"))
    assert await one.judge([customer(1, id="cust-1")]) == [DROP]


def test_it_stands_where_nothing_has_been_learnt() -> None:
    names = [each.name for each in STAGES]
    assert names[:4] == ["tenant", "consent", "suppress", "duplicate"]
    assert sys.getsizeof(digest(named("id", "x"))) < 64
