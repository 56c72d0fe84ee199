"""A request whose events a test lets end as it likes."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from msgspec import Raw

from schemas.envelope import VERSION, DeadLetter, Envelope, Rejected, encode
from schemas.rows import (
    EVENTS,
    LANDING,
    OUTCOMES,
    QUARANTINE,
    columns,
    event_row,
    outcome_row,
    quarantine_row,
)
from schemas.topics import DEAD, RAW, REJECTED, Coordinates, Partition
from stores.warehouse import ClickHouse
from tests.contract.warehouse_rows import RECEIVED_MS, event


class Sent:
    """One attempt to send `of` events that are accepted."""

    def __init__(
        self, warehouse: ClickHouse, *, of: int, request: str = "", later_ms: int = 0, tenant: int = 1
    ):
        self.warehouse = warehouse
        self.request = request or str(uuid4())
        self.of = of
        self.received_at = RECEIVED_MS + later_ms
        self.tenant = tenant
        self.ids = [str(uuid4()) for _ in range(of)]

    def again(self, *, request: str = "", later_ms: int = 1000) -> "Sent":
        """The same events sent once more."""
        other = Sent(self.warehouse, of=self.of, request=request, later_ms=later_ms, tenant=self.tenant)
        other.ids = self.ids
        return other

    def event(self, index: int, **changes: Any) -> Any:
        given: dict[str, Any] = {
            "event_id": self.ids[index],
            "tenant_id": self.tenant,
            "received_at": self.received_at,
            "request_id": self.request,
            "index": index,
            "of": self.of,
        }
        return event(**(given | changes))

    async def store(self, *indices: int, at: int = 0, **changes: Any) -> None:
        rows = [event_row(self.event(index, **changes)) for index in indices]
        await self.insert(EVENTS, dict(zip(range(at, at + len(rows)), rows, strict=True)))

    async def end(self, index: int, outcome: Any, *, at: int = 0, **why: Any) -> None:
        await self.insert(OUTCOMES, {at: outcome_row(self.event(index), outcome, **why)})

    def envelope(self, index: int) -> bytes:
        return encode(
            Envelope(
                v=VERSION,
                id=self.ids[index],
                dialect="relo",
                endpoint="batch",
                tenant=self.tenant,
                received_at=self.received_at,
                request=self.request,
                index=index,
                of=self.of,
                event=Raw(b"{}"),
            )
        )

    async def bury(self, index: int, *, at: int, own: int = 0, truncated: bool = False) -> None:
        """Dead at offset `at`; its letter stands at `own`."""
        letter = DeadLetter(
            v=VERSION,
            id=self.ids[index],
            dialect="relo",
            tenant=self.tenant,
            received_at=self.received_at,
            request=self.request,
            stage="map",
            code="missing_field",
            pointer="props.order_id",
            message="Add it.",
            raw=self.envelope(index).decode()[: 20 if truncated else None],
            truncated=truncated,
            src_topic=RAW,
            src_kp=0,
            src_ko=at,
            src_inc=1,
        )
        row = quarantine_row(letter, Coordinates(1, DEAD, 0, own))
        await self.insert(QUARANTINE, {own: row}, DEAD)

    async def reject(self, index: int, *, at: int) -> str:
        letter = Rejected(
            v=VERSION,
            id=str(uuid4()),
            dialect="relo",
            endpoint="batch",
            tenant=self.tenant,
            received_at=self.received_at,
            request=self.request,
            index=index,
            code="cid_not_allowed",
            pointer="cid",
            message="Send another.",
            raw="{}",
        )
        row = quarantine_row(letter, Coordinates(1, REJECTED, 0, at))
        await self.insert(QUARANTINE, {at: row}, REJECTED)
        return letter.id

    async def insert(self, table: str, rows: Mapping[int, str], topic: str = RAW) -> None:
        block = columns(Partition(topic, 0), 1, list(rows), list(rows.values()))
        await self.warehouse.insert(LANDING[table], block, token=uuid4().hex, query_id=uuid4().hex)
