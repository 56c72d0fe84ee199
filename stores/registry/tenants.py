"""Tenants: looked up for every public event, and managed by the operator."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.tenants import Tenant, TenantRef, TenantSettings
from stores.registry import rules
from stores.registry.database import AnyRow, Database
from stores.registry.errors import EntryRefused
from stores.registry.tables import tenants

COLUMNS = (
    tenants.c.id,
    tenants.c.uuid,
    tenants.c.slug,
    tenants.c.name,
    tenants.c.active,
    tenants.c.settings,
)
_ALL = select(*COLUMNS).order_by(tenants.c.id)
_BY_ID = select(*COLUMNS).where(tenants.c.id == bindparam("id"))
_BY = {
    name: select(*COLUMNS).where(tenants.c[name].in_(bindparam("keys", expanding=True)))
    for name in ("id", "uuid", "slug")
}

_settings = msgspec.json.Decoder(TenantSettings)


def now_ms() -> int:
    """Return the wall clock in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def tenant_of(row: AnyRow) -> Tenant:
    """Read COLUMNS."""
    return Tenant(
        id=row.id,
        uuid=row.uuid,
        slug=row.slug,
        name=row.name,
        active=row.active,
        settings=_settings.decode(row.settings),
    )


async def require_tenant(connection: AsyncConnection, tenant_id: int) -> Tenant:
    """Return the tenant. Raises EntryRefused where there is none."""
    row = None
    if 1 <= tenant_id <= rules.INT64_MAX:
        row = (await connection.execute(_BY_ID, {"id": tenant_id})).first()
    if row is None:
        raise EntryRefused(f"There is no tenant with the id {tenant_id}.")
    return tenant_of(row)


class Tenants:
    """The part of the registry that holds tenants."""

    _database: Database

    async def find_tenants(self, refs: Sequence[TenantRef]) -> Mapping[TenantRef, Tenant]:
        """Look tenants up, active or not. Raises StoreUnavailable."""
        asked: dict[str, dict[int | str, list[TenantRef]]] = {}
        for ref in refs:
            if (name := _name(ref)) is not None:
                column, value = name
                asked.setdefault(column, {}).setdefault(value, []).append(ref)
        found: dict[TenantRef, Tenant] = {}
        for column, by_value in asked.items():
            for row in await self._database.lookup_all(_BY[column], list(by_value)):
                tenant = tenant_of(row)
                found.update((ref, tenant) for ref in by_value[getattr(row, column)])
        return found

    async def tenant(self, ref: TenantRef) -> Tenant | None:
        """Look one tenant up, as `find_tenants`."""
        return (await self.find_tenants([ref])).get(ref)

    async def list_tenants(self) -> Sequence[Tenant]:
        """Return every tenant, by id."""
        return [tenant_of(row) for row in await self._database.read(_ALL)]

    async def add_tenant(
        self, slug: str, name: str, *, uuid: str | None = None, id: int | None = None
    ) -> Tenant:
        """Enter a tenant; `id` and `uuid` are chosen where they are not given. Raises EntryRefused."""
        tenant = Tenant(
            id=rules.tenant_id(id) if id is not None else 0,
            uuid=rules.tenant_uuid(uuid),
            slug=rules.slug(slug),
            name=rules.name(name),
            active=True,
            settings=TenantSettings(),
        )
        try:
            return await self._database.write(lambda connection: _insert(connection, tenant))
        except IntegrityError as error:
            raise EntryRefused(_taken(tenant, str(error.orig))) from None

    async def set_tenant_active(self, tenant_id: int, active: bool) -> None:
        """Switch a tenant on or off: an inactive one's events are refused. Raises EntryRefused."""
        await self._update(tenant_id, {"active": active})

    async def update_tenant_settings(self, tenant_id: int, settings: TenantSettings) -> None:
        """Replace what a tenant has set for itself. Raises EntryRefused."""
        text = msgspec.json.encode(rules.tenant_settings(settings)).decode()
        await self._update(tenant_id, {"settings": text})

    async def _update(self, tenant_id: int, values: dict[str, Any]) -> None:
        async def run(connection: AsyncConnection) -> None:
            await require_tenant(connection, tenant_id)
            statement = update(tenants).where(tenants.c.id == tenant_id)
            await connection.execute(statement.values(**values, updated_at=now_ms()))

        await self._database.write(run)


def _name(ref: TenantRef) -> tuple[str, int | str] | None:
    """Return the column and the value by which the tenant is found, None where there can't be one."""
    number = rules.parse_id(ref.value) if ref.by != "slug" else None
    if number is not None:
        return "id", number
    if ref.by == "any" and (uuid := rules.parse_uuid(ref.value)):
        return "uuid", uuid
    return ("slug", ref.value) if ref.by != "id" and rules.is_slug(ref.value) else None


async def _insert(connection: AsyncConnection, tenant: Tenant) -> Tenant:
    if not tenant.id:
        # Not the database's sequence: an id given by hand would not move it on in Postgres.
        highest = await connection.scalar(select(func.coalesce(func.max(tenants.c.id), 0)))
        tenant = msgspec.structs.replace(tenant, id=(highest or 0) + 1)
    now = now_ms()
    await connection.execute(
        insert(tenants).values(
            id=tenant.id,
            uuid=tenant.uuid,
            slug=tenant.slug,
            name=tenant.name,
            active=tenant.active,
            settings=msgspec.json.encode(tenant.settings).decode(),
            created_at=now,
            updated_at=now,
        )
    )
    return tenant


def _taken(tenant: Tenant, reason: str) -> str:
    """Say which of the three names is taken; both databases name the column or its constraint."""
    if "slug" in reason:
        return f"The slug {tenant.slug!r} is taken by another tenant."
    if "uuid" in reason:
        return f"The UUID {tenant.uuid} is taken by another tenant."
    return (
        f"The id {tenant.id} is taken by another tenant."
        if tenant.id
        else "Another tenant was added just now: try again."
    )
