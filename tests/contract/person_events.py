"""Events that name somebody, and the stage `person` over a real registry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs

from schemas.event import Event
from schemas.persons import Override
from schemas.rows import PERSON_OVERRIDES
from schemas.settings import Settings
from schemas.tenants import TenantSettings
from schemas.topics import RAW, Coordinates
from stores.keys import MemoryKeys
from stores.registry import SqlRegistry
from workers.resources import Resources
from workers.stage import KEEP
from workers.stages.person import Person

RECEIVED_AT = 1_790_000_000_000
TENANT, STORE = 1, "store-1"


def event(offset: int, *, kp: int = 0, **changes: Any) -> Event:
    """The event at an offset; what it was received at follows from that."""
    given: dict[str, Any] = {
        "event_id": f"00000000-0000-7000-8{kp:03}-{offset:012}",
        "tenant_id": TENANT,
        "dialect": "redo",
        "source": STORE,
        "received_at": RECEIVED_AT + offset,
        "sent_at": None,
        "request_id": "request-1",
        "flags": [],
        "event_name": "Order Placed",
        "event_type": "order_completed",
        "occurred_at": RECEIVED_AT + offset,
        "subject": "s",
        "at": Coordinates(1, RAW, kp, offset),
    }
    return Event(**(given | changes))


def customer(offset: int, id: str = "", email: str = "", phone: str = "", **changes: Any) -> Event:
    """An event of redo."""
    return event(offset, user_id=id, email=email, phone=phone, **changes)


def visit(offset: int, device: str, user_id: str = "", **changes: Any) -> Event:
    """An event of alana."""
    changes = {"dialect": "alana", "source": "key-1"} | changes
    return event(offset, anonymous_id=device, user_id=user_id, **changes)


def fresh(event: Event, **changes: Any) -> Event:
    """Return the event as it comes from the log again."""
    return structs.replace(event, flags=[], profile={}, person_id=None, **changes)


def shared(names_max: int) -> TenantSettings:
    return TenantSettings(shared_device_user_ids_max=names_max)


@dataclass
class Warehouse:
    """Takes overrides, as the real one does: of two for a person the higher version counts."""

    rows: list[Override] = field(default_factory=list)
    fails: list[Exception] = field(default_factory=list)

    async def insert(
        self, table: str, columns: Mapping[str, Sequence[Any]], *, token: str, query_id: str
    ) -> None:
        assert table == PERSON_OVERRIDES
        if self.fails:
            raise self.fails.pop()
        self.rows += [Override(t, str(p), str(c), v) for t, p, c, v in zip(*columns.values(), strict=True)]

    def add(self, overrides: Sequence[Override]) -> None:
        self.rows += overrides

    def seen_as(self, person: str | None) -> str | None:
        """Return what a person is seen as."""
        found = [row for row in self.rows if row.person_id == person]
        return max(found, key=lambda row: row.version).canonical_id if found else person


@dataclass
class Desk:
    """Workers over one registry; a new one remembers nothing."""

    registry: SqlRegistry
    warehouse: Warehouse = field(default_factory=Warehouse)

    def worker(self) -> Person:
        use = Resources(
            settings=Settings(),
            warehouse=self.warehouse,  # type: ignore[arg-type]
            registry=self.registry,
            keys=MemoryKeys(),
            geo=None,  # type: ignore[arg-type]
        )
        return Person(use)

    async def judge(self, *events: Event, by: Person | None = None) -> list[str | None]:
        """Let a worker judge a batch (a new one, unless one is given) and return the persons."""
        assert await (by or self.worker()).judge(events) == [KEEP] * len(events)
        return [each.person_id for each in events]

    async def person(self, *events: Event, by: Person | None = None) -> str:
        """The same for events of one person, who is returned."""
        found = set(await self.judge(*events, by=by))
        assert len(found) == 1
        [person] = found
        assert person is not None
        return person
