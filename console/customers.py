"""The current profile of one customer: the newest value of each field, put together."""

import msgspec
from msgspec import Raw, Struct

from schemas.persons import customer_scope, identifier
from stores.base import Warehouse
from stores.registry import SqlRegistry

STORES = "redo"
"""The protocol that has stores, and customers in them."""

_LOCATION, _CUSTOM = "location.", "custom."

# By person, in the order of the table's key; the view `customers` says the same of all customers at once.
_FIELDS = """
    SELECT toString(field) AS field, argMax(customer_fields.value, rank) AS value,
        toInt64(bitShiftRight(max(rank), 80)) AS at
    FROM customer_fields WHERE tenant_id = %(tenant_id)s AND person_id = %(person_id)s GROUP BY field
    HAVING value != ''"""


class Customer(Struct, frozen=True):
    """A profile; texts are empty where nothing was given. Times are Unix ms of the events behind it."""

    person_id: str
    id: str
    email: str
    phone_number: str
    first_name: str
    last_name: str
    location: dict[str, Raw]
    custom_fields: dict[str, Raw]
    created_at: int
    updated_at: int


async def find_customer(
    registry: SqlRegistry, warehouse: Warehouse, *, tenant_id: int, store: str, id: str
) -> Customer | None:
    """Return the customer of a store by the id that the shop or Penstock gave; None if there is none.

    Raises StoreUnavailable, QueryRefused.
    """
    person_id = await registry.person_of(identifier(tenant_id, customer_scope(STORES, store), "id", id))
    if person_id is None:
        return None
    rows = await warehouse.query(_FIELDS, {"tenant_id": tenant_id, "person_id": person_id})
    if not rows:
        return None  # known, and not stored yet
    values = {row["field"]: row["value"] for row in rows}
    since = int(values["since"])
    return Customer(
        person_id=person_id,
        id=_text(values, "id") or person_id,
        email=_text(values, "email"),
        phone_number=_text(values, "phone"),
        first_name=_text(values, "firstName"),
        last_name=_text(values, "lastName"),
        location=_below(values, _LOCATION),
        custom_fields=_below(values, _CUSTOM),
        created_at=since,
        updated_at=max((row["at"] for row in rows if row["field"] != "since"), default=since),
    )


def _text(values: dict[str, str], field: str) -> str:
    return str(msgspec.json.decode(values[field])) if field in values else ""


def _below(values: dict[str, str], prefix: str) -> dict[str, Raw]:
    return {
        field.removeprefix(prefix): Raw(value.encode())
        for field, value in sorted(values.items())
        if field.startswith(prefix)
    }
