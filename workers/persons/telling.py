"""What the warehouse is told of persons apart from events; a repeat changes nothing."""

import time
from collections.abc import Sequence
from uuid import uuid4

from schemas.persons import Link, Override
from schemas.rows import PERSON_OVERRIDES, override_columns
from stores.base import Warehouse

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


async def take_away(warehouse: Warehouse, undone: Link, *, followed_s: float) -> None:
    """Take an identifier that was unlinked out of its person's profile. Raises StoreUnavailable.

    `followed_s`: by then every worker has noticed. Until then one may put the identifier into the profile
    again, so what it holds of this kind from events up to then does not count.
    """
    dialect, _, source = undone.identifier.scope.partition("/")
    params = {
        "tenant_id": undone.identifier.tenant_id,
        "person_id": undone.person_id,
        "dialect": dialect,
        "source": source,
        "field": undone.identifier.kind,
        "at_ms": time.time_ns() // 1_000_000 + int(followed_s * 1000),
    }
    await warehouse.execute(_TAKE_AWAY, params)
