"""What the registry forgets of an erased person: links, devices, and what merges made of them."""

# ruff: noqa: S608 - tables and columns are our own constants; every value is a parameter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.erasures import Subject
from stores.registry import person_merges
from stores.registry.person_links import batch_of, on_batch
from stores.registry.person_unlinking import NEXT_EPOCH

PORTION = 1_000
"""Identifiers or persons in one statement."""

_IDENTIFIER = ("tenant_id", "scope", "kind", "value")
_PERSON = ("person_id",)


def _delete(table: str, key: Sequence[str], where: str, columns: Sequence[str]) -> dict[str, TextClause]:
    """Return a DELETE of the rows, by their key, that meet a row of the batch."""
    named = ", ".join(key)
    chosen = ", ".join(f"t.{name}" for name in key)
    found = f"SELECT {chosen} FROM {{batch}} JOIN {table} AS t ON {where}"
    return on_batch(f"DELETE FROM {table} WHERE ({named}) IN ({found})", columns)


_LINK_KEY = ("tenant_id", "kind", "value", "scope", "generation")
_PAIR_KEY = ("tenant_id", "device", "scope", "kind", "value")
_NAMED = "t.tenant_id = c.tenant_id AND t.scope = c.scope AND t.kind = c.kind AND t.value = c.value"
_OF_DEVICE = "t.tenant_id = c.tenant_id AND t.scope = c.scope AND c.kind = 'device' AND t.device = c.value"
_OF_PERSON = "t.person_id = c.person_id"

_BY_IDENTIFIER = (
    _delete("person_links", _LINK_KEY, _NAMED, _IDENTIFIER),
    _delete("person_pairs", _PAIR_KEY, _NAMED, _IDENTIFIER),
    _delete("person_pairs", _PAIR_KEY, _OF_DEVICE, _IDENTIFIER),
)
_BY_PERSON = (
    _delete("person_links", _LINK_KEY, _OF_PERSON, _PERSON),
    _delete("person_pairs", _PAIR_KEY, _OF_PERSON, _PERSON),
    _delete("person_overrides", ("person_id",), _OF_PERSON, _PERSON),
    _delete("person_overrides", ("person_id",), "t.canonical_id = c.person_id", _PERSON),
)


async def forget(connection: AsyncConnection, subject: Subject) -> int:
    """Delete all facts about a person, in the caller's transaction; return how many."""
    await person_merges.alone(connection)
    rows: Sequence[Sequence[Any]] = subject.identifiers
    deleted = await _run(connection, _BY_IDENTIFIER, rows)
    deleted += await _run(connection, _BY_PERSON, [(person_id,) for person_id in subject.person_ids])
    if deleted:
        await connection.execute(NEXT_EPOCH, {"tenant_id": subject.tenant_id})
    return deleted


async def _run(
    connection: AsyncConnection, statements: Sequence[dict[str, TextClause]], rows: Sequence[Sequence[Any]]
) -> int:
    deleted = 0
    for start in range(0, len(rows), PORTION):
        batch = batch_of(rows[start : start + PORTION])
        for statement in statements:
            deleted += (await connection.execute(statement[connection.dialect.name], batch)).rowcount
    return deleted
