"""The one way the api reads rows: of one tenant, newest first, at most so many."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from schemas.tenants import Tenant
from stores.base import Warehouse


@dataclass(frozen=True, slots=True)
class Listing:
    """A table as the api shows it. All of it is our own text: `conditions` by parameter name."""

    table: str
    columns: str
    conditions: Mapping[str, str]


async def last_rows(
    warehouse: Warehouse, listing: Listing, asked: Struct, tenant: Tenant
) -> list[dict[str, Any]]:
    """Return the tenant's last rows that meet what was asked for.

    `asked` holds `limit` and one field per condition, None if not asked. What the caller gave goes in
    as parameters, which the warehouse escapes.
    """
    given = {name: value for name, value in asdict(asked).items() if value is not None}
    chosen = (listing.conditions[name] for name in given if name != "limit")
    where = " AND ".join(["tenant_id = %(tenant_id)s", *chosen])
    sql = (
        f"SELECT {listing.columns} FROM {listing.table} WHERE {where} "  # noqa: S608 - our own text
        "ORDER BY received_at DESC LIMIT %(limit)s"
    )
    return await warehouse.query(sql, {**given, "tenant_id": tenant.id})
