"""Rows of `customer_patches` and what the views make of them, by the warehouse alone."""

from typing import Any
from uuid import uuid4

import msgspec
import pytest

from schemas.persons import Override
from schemas.rows import PATCH_PARTS, PATCHES, PERSON_OVERRIDES, override_columns, patch_row
from schemas.topics import Partition
from stores.base import InsertRefused
from stores.warehouse import ClickHouse
from tests.contract.warehouse_rows import PERSON, event, put

OTHER, THIRD = (f"00000000-0000-4000-8000-0000000000{n}" for n in ("bb", "cc"))


def patch(**parts: Any) -> str:
    """Return a patch with some parts put to other JSON values."""
    given = event(person_id=PERSON, profile={"firstName": '"Ann"', "custom.Age": "25"})
    values = msgspec.json.decode(patch_row(given))
    for name, value in parts.items():
        values[PATCH_PARTS.index(name)] = value
    return msgspec.json.encode(values).decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"event_id": "x"},
        {"person_id": ""},
        {"person_id": "x"},
        {"tenant_id": -1},
        {"dialect": None},
        {"occurred_at": 0},
        {"occurred_at": "2026-01-01"},
        {"received_at": 2**60},
        {"fields": ["firstName"]},
        {"fields": ["firstName", None]},
        {"values": "x"},
        {"values": ['"Ann"', None]},
        {"retention_days": 0},
        {"elements": 3},
    ],
    ids=str,
)
async def test_a_damaged_patch_is_refused(
    warehouse: ClickHouse, partition: Partition, wrong: dict[str, Any]
) -> None:
    with pytest.raises(InsertRefused):
        await put(warehouse, PATCHES, partition, [patch(), patch(**wrong)])
    [found] = await warehouse.query(
        "SELECT count() AS n FROM customer_patches WHERE kp = %(kp)s", {"kp": partition.index}
    )
    assert found["n"] == 0


async def test_of_two_overrides_the_newer_counts(warehouse: ClickHouse) -> None:
    async def tell(*overrides: Override) -> None:
        await warehouse.insert(
            PERSON_OVERRIDES, override_columns(overrides), token=uuid4().hex, query_id=uuid4().hex
        )

    async def seen() -> dict[str, str]:
        rows = await warehouse.query("SELECT * FROM person_overrides_current WHERE tenant_id = 77")
        return {str(row["person_id"]): str(row["canonical_id"]) for row in rows}

    await tell(Override(77, PERSON, OTHER, 5), Override(77, THIRD, OTHER, 5))
    await tell(Override(77, PERSON, THIRD, 4))
    assert await seen() == {PERSON: OTHER, THIRD: OTHER}
    await tell(Override(77, PERSON, PERSON, 6))
    assert await seen() == {THIRD: OTHER}
