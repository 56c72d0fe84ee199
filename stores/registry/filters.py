"""Saved automation filters: conditions on one event, under a name, and where their matches are sent."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import uuid4

from msgspec import Struct
from sqlalchemy import ColumnElement, bindparam, delete, func, insert, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from stores.registry import rules
from stores.registry.database import AnyRow, Database, Result, Work
from stores.registry.errors import EntryRefused
from stores.registry.tables import deliveries, filters
from stores.registry.tenants import now_ms, require_tenant
from stores.registry.tokens import fresh_secret

FILTERS_MAX = 200

_FILTERS = select(filters).where(filters.c.tenant_id == bindparam("tenant_id"))
_ONE = _FILTERS.where(filters.c.filter_id == bindparam("filter_id"))
_ALL = _FILTERS.order_by(filters.c.name)
_ACTIVE = (
    select(filters)
    .where(filters.c.tenant_id.in_(bindparam("tenant_ids", expanding=True)), filters.c.active == true())
    .order_by(filters.c.filter_id)
)


class Filter(Struct, frozen=True):
    """A saved filter; `conditions` is JSON text, `url` and `secret` are empty without a webhook.

    The times are Unix ms. The secret is kept as it is, because it signs.
    """

    filter_id: str
    tenant_id: int
    name: str
    conditions: str
    url: str
    secret: str
    active: bool
    created_at: int
    updated_at: int


class Filters:
    """The part of the registry that holds automation filters."""

    _database: Database

    async def filter(self, tenant_id: int, filter_id: str) -> Filter | None:
        """Return one of the tenant's filters. Raises StoreUnavailable."""
        if (parsed := rules.parse_uuid(filter_id)) is None:
            return None
        rows = await self._database.lookup(_ONE, {"tenant_id": tenant_id, "filter_id": parsed})
        return _filter_of(rows[0]) if rows else None

    async def list_filters(self, tenant_id: int) -> Sequence[Filter]:
        """Return the tenant's filters, by name. Raises StoreUnavailable."""
        return [_filter_of(row) for row in await self._database.lookup(_ALL, {"tenant_id": tenant_id})]

    async def active_filters(self, tenant_ids: Collection[int]) -> Sequence[Filter]:
        """Return all filters of these tenants that are in force. Raises StoreUnavailable."""
        rows = await self._database.lookup(_ACTIVE, {"tenant_ids": list(tenant_ids)})
        return [_filter_of(row) for row in rows]

    async def add_filter(
        self, tenant_id: int, name: str, conditions: str, *, url: str = "", active: bool = True
    ) -> Filter:
        """Save a filter; its id and secret are chosen here. Raises EntryRefused where the name is taken."""
        now = now_ms()
        secret = fresh_secret("webhook") if url else ""
        made = Filter(str(uuid4()), tenant_id, rules.name(name), conditions, url, secret, active, now, now)

        async def run(connection: AsyncConnection) -> None:
            await require_tenant(connection, tenant_id)
            of_tenant = select(func.count()).where(filters.c.tenant_id == tenant_id)
            if (await connection.scalar(of_tenant) or 0) >= FILTERS_MAX:
                raise EntryRefused(f"A tenant has at most {FILTERS_MAX} filters: remove one.")
            values = {field: getattr(made, field) for field in made.__struct_fields__}
            await connection.execute(insert(filters).values(**values))

        await self._write_filter(run)
        return made

    async def replace_filter(
        self,
        tenant_id: int,
        filter_id: str,
        name: str,
        conditions: str,
        *,
        url: str = "",
        active: bool = True,
        fresh: bool = False,
    ) -> Filter | None:
        """Give a filter other contents; None if it is not there. Raises EntryRefused.

        The secret stays while there is a URL, unless a `fresh` one is asked for.
        """
        former = await self.filter(tenant_id, filter_id)
        if former is None:
            return None
        kept = "" if fresh else former.secret
        values: dict[str, Any] = {
            "name": rules.name(name),
            "conditions": conditions,
            "url": url,
            "secret": (kept or fresh_secret("webhook")) if url else "",
            "active": active,
            "updated_at": now_ms(),
        }

        async def run(connection: AsyncConnection) -> int:
            statement = update(filters).where(*_is_that(tenant_id, former.filter_id)).values(**values)
            return (await connection.execute(statement)).rowcount

        if not await self._write_filter(run):
            return None
        return await self.filter(tenant_id, filter_id)

    async def remove_filter(self, tenant_id: int, filter_id: str) -> bool:
        """Forget a filter and its deliveries; tell whether it was there."""
        if (parsed := rules.parse_uuid(filter_id)) is None:
            return False

        async def run(connection: AsyncConnection) -> int:
            removed = (await connection.execute(delete(filters).where(*_is_that(tenant_id, parsed)))).rowcount
            if removed:
                await connection.execute(delete(deliveries).where(deliveries.c.filter_id == parsed))
            return removed

        return await self._database.write(run) > 0

    async def _write_filter(self, run: Work[Result]) -> Result:
        try:
            return await self._database.write(run)
        except IntegrityError:
            raise EntryRefused("The tenant has another filter of this name: choose another name.") from None


def _is_that(tenant_id: int, filter_id: str) -> tuple[ColumnElement[bool], ...]:
    return filters.c.tenant_id == tenant_id, filters.c.filter_id == filter_id


def _filter_of(row: AnyRow) -> Filter:
    return Filter(**{field: getattr(row, field) for field in Filter.__struct_fields__})
