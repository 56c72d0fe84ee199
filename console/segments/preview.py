"""Asks the warehouse how many customers a segment has, and for a few of them."""

import time
from typing import Any

from msgspec import Struct

from console.segments.compile import SAMPLE_COLUMNS, compile_segment
from schemas.conditions import Condition
from stores.base import Warehouse

SAMPLE_SIZE = 20
THREADS_MAX = 4


class Preview(Struct, frozen=True):
    """How many customers there are, and at most SAMPLE_SIZE of them, in no order."""

    count: int
    sample: list[dict[str, Any]]


async def preview(warehouse: Warehouse, condition: Condition, tenant_id: int, *, store: str = "") -> Preview:
    """Return the customers of one tenant, or of one redo store of it, that meet the condition now.

    Raises StoreUnavailable, and QueryRefused where it would take too long.
    """
    query = compile_segment(
        condition,
        tenant_id=tenant_id,
        store=store,
        now_ms=time.time_ns() // 1_000_000,
        sample_size=SAMPLE_SIZE,
    )
    [row] = await warehouse.query(query.sql, query.params, threads_max=THREADS_MAX)
    sample = [dict(zip(SAMPLE_COLUMNS, found, strict=True)) for found in row["sample"]]
    return Preview(row["customers"], sample)
