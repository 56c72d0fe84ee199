"""The one way the api reads rows: of one tenant, newest first, at most so many."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from schemas.tenants import Token
from stores.base import Warehouse


@dataclass(frozen=True, slots=True)
class Listing:
    """A table as the api shows it. All of it is our own text: `conditions` by parameter name.

    `of_store` is the condition under which a row is the store's that a token is limited to.
    """

    table: str
    columns: str
    of_store: str
    conditions: Mapping[str, str]


async def last_rows(
    warehouse: Warehouse, listing: Listing, asked: Struct, token: Token
) -> list[dict[str, Any]]:
    """Return the last rows that meet what was asked for: the tenant's, or a store's for its own token.

    `asked` holds `limit` and one field per condition, None if not asked. What the caller gave goes in
    as parameters, which the warehouse escapes.
    """
    given = {name: value for name, value in asdict(asked).items() if value is not None}
    chosen = (listing.conditions[name] for name in given if name != "limit")
    of_store = [listing.of_store] if token.store else []
    where = " AND ".join(["tenant_id = %(tenant_id)s", *of_store, *chosen])
    sql = (
        f"SELECT {listing.columns} FROM {listing.table} WHERE {where} "  # noqa: S608 - our own text
        "ORDER BY received_at DESC LIMIT %(limit)s"
    )
    return await warehouse.query(sql, {**given, "tenant_id": token.tenant.id, "store": token.store})
