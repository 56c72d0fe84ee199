"""What the warehouse is told of persons apart from events; a repeat changes nothing."""

import time
from collections.abc import Sequence
from uuid import uuid4

from schemas.persons import Link, Override
from schemas.rows import PERSON_OVERRIDES, override_columns
from stores.base import Warehouse

FOLLOWED_MS = 60_000
"""By then every worker has noticed; until then one may put the identifier into the profile again."""

_TAKE_AWAY = """
    INSERT INTO customer_fields (tenant_id, person_id, dialect, source, field, value, rank)
    SELECT %(tenant_id)s, toUUID(%(person_id)s), %(dialect)s, %(source)s, %(field)s, '',
        bitShiftLeft(toUInt128(toInt64(%(at_ms)s)), 80)"""


async def tell_overrides(warehouse: Warehouse, overrides: Sequence[Override]) -> None:
    """Let queries see merged persons as one. Raises StoreUnavailable, InsertRefused."""
    if overrides:
        token = uuid4().hex
        await warehouse.insert(
            PERSON_OVERRIDES,
            override_columns(overrides),
            token=token,
            query_id=f"penstock/{PERSON_OVERRIDES}/{token}",
        )


async def take_away(warehouse: Warehouse, undone: Link) -> None:
    """Take an identifier that was unlinked out of its person's profile. Raises StoreUnavailable."""
    dialect, _, source = undone.identifier.scope.partition("/")
    params = {
        "tenant_id": undone.identifier.tenant_id,
        "person_id": undone.person_id,
        "dialect": dialect,
        "source": source,
        "field": undone.identifier.kind,
        "at_ms": time.time_ns() // 1_000_000 + FOLLOWED_MS,
    }
    await warehouse.execute(_TAKE_AWAY, params)
