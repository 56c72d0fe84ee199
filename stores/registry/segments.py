"""Saved segments: conditions over a tenant's customers, under a name."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from msgspec import Struct
from sqlalchemy import ColumnElement, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from stores.registry import rules
from stores.registry.database import AnyRow, Database, Result, Work
from stores.registry.errors import EntryRefused
from stores.registry.tables import segments
from stores.registry.tenants import now_ms, require_tenant

SEGMENTS_MAX = 1000

_SEGMENTS = select(segments).where(segments.c.tenant_id == bindparam("tenant_id"))
_ONE = _SEGMENTS.where(segments.c.segment_id == bindparam("segment_id"))
_ALL = _SEGMENTS.order_by(segments.c.name)


class Segment(Struct, frozen=True):
    """A saved segment; `conditions` is JSON text, the times are Unix ms."""

    segment_id: str
    tenant_id: int
    name: str
    conditions: str
    created_at: int
    updated_at: int


class Segments:
    """The part of the registry that holds segments."""

    _database: Database

    async def segment(self, tenant_id: int, segment_id: str) -> Segment | None:
        """Return one of the tenant's segments. Raises StoreUnavailable."""
        rows = await self._database.lookup(_ONE, {"tenant_id": tenant_id, "segment_id": segment_id})
        return _segment_of(rows[0]) if rows else None

    async def list_segments(self, tenant_id: int) -> Sequence[Segment]:
        """Return the tenant's segments, by name. Raises StoreUnavailable."""
        return [_segment_of(row) for row in await self._database.lookup(_ALL, {"tenant_id": tenant_id})]

    async def add_segment(self, tenant_id: int, name: str, conditions: str) -> Segment:
        """Save a segment; its id is chosen here. Raises EntryRefused where the name is taken."""
        now = now_ms()
        made = Segment(str(uuid4()), tenant_id, rules.name(name), conditions, now, now)

        async def run(connection: AsyncConnection) -> None:
            await require_tenant(connection, tenant_id)
            of_tenant = select(func.count()).where(segments.c.tenant_id == tenant_id)
            if (await connection.scalar(of_tenant) or 0) >= SEGMENTS_MAX:
                raise EntryRefused(f"A tenant has at most {SEGMENTS_MAX} segments: remove one.")
            values = {field: getattr(made, field) for field in made.__struct_fields__}
            await connection.execute(insert(segments).values(**values))

        await self._write_segment(run)
        return made

    async def replace_segment(self, tenant_id: int, segment_id: str, name: str, conditions: str) -> bool:
        """Give a segment another name and conditions; tell whether it is there. Raises EntryRefused."""
        values: dict[str, Any] = {"name": rules.name(name), "conditions": conditions, "updated_at": now_ms()}

        async def run(connection: AsyncConnection) -> int:
            statement = update(segments).where(*_is_that(tenant_id, segment_id)).values(**values)
            return (await connection.execute(statement)).rowcount

        return await self._write_segment(run) > 0

    async def remove_segment(self, tenant_id: int, segment_id: str) -> bool:
        """Forget a segment; tell whether it was there."""

        async def run(connection: AsyncConnection) -> int:
            statement = delete(segments).where(*_is_that(tenant_id, segment_id))
            return (await connection.execute(statement)).rowcount

        return await self._database.write(run) > 0

    async def _write_segment(self, run: Work[Result]) -> Result:
        try:
            return await self._database.write(run)
        except IntegrityError:
            raise EntryRefused("The tenant has another segment of this name: choose another name.") from None


def _is_that(tenant_id: int, segment_id: str) -> tuple[ColumnElement[bool], ...]:
    return segments.c.tenant_id == tenant_id, segments.c.segment_id == segment_id


def _segment_of(row: AnyRow) -> Segment:
    return Segment(
        segment_id=row.segment_id,
        tenant_id=row.tenant_id,
        name=row.name,
        conditions=row.conditions,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
