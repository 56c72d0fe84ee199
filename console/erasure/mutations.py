"""Rows that go for good: ALTER DELETE, which rewrites their parts; docs/decisions/0130 says why.

Statements name coordinates and person ids only: the engine keeps them in system.mutations for a while.
"""

# ruff: noqa: S608 - statements are put together from our own text; every value is a parameter
import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

from console.erasure.places import Place
from schemas.rows import EVENTS, OUTCOMES, PATCHES, PERSON_OVERRIDES, QUARANTINE
from stores.base import QueryRefused, StoreUnavailable, Warehouse

log = logging.getLogger("penstock.erasure")

FIELDS = "customer_fields"
TABLES = (EVENTS, PATCHES, FIELDS, PERSON_OVERRIDES, QUARANTINE)
"""Where persons are."""

ROWS_MAX = 2_000
"""Rows named in one statement: it is parsed up to 256 KiB."""

LOOK_S = 0.5
WAIT_S_MAX = 20.0
"""Longer than this a step does not wait for the engine; the next one goes on."""

_TAG = "notEmpty(%(tag)s)"
_AT = (
    "tenant_id = %(tenant_id)s"
    " AND received_at >= fromUnixTimestamp64Milli(toInt64(%(from_ms)s))"
    " AND received_at <= fromUnixTimestamp64Milli(toInt64(%(to_ms)s))"
    " AND (inc, topic, kp, ko) IN %(places)s"
)
_OF_PERSON = "tenant_id = %(tenant_id)s AND toString(person_id) IN %(person_ids)s"
_SEEN_AS = f"({_OF_PERSON} OR tenant_id = %(tenant_id)s AND toString(canonical_id) IN %(person_ids)s)"

_UNDER_WAY = """
SELECT count() AS mutations, any(latest_fail_reason) AS fault
FROM system.mutations
WHERE database = currentDatabase() AND NOT is_done AND position(command, %(tag)s) > 0"""


class StillApplying(StoreUnavailable):
    """The engine has taken the deletion and is not done with it."""


class Mutations:
    """Deletes the rows of one erasure, and knows when that is done on every replica."""

    def __init__(self, warehouse: Warehouse, erasure_id: str, tenant_id: int) -> None:
        self._warehouse = warehouse
        self._tenant_id = tenant_id
        self._tag = f"penstock erasure {erasure_id}"

    async def delete_places(self, table: str, places: Sequence[Place]) -> None:
        """Delete the rows at these places. Raises StillApplying, StoreUnavailable."""
        for start in range(0, len(places), ROWS_MAX):
            some = places[start : start + ROWS_MAX]
            times = [place.received_at for place in some]
            at = [(place.at.inc, place.at.topic, place.at.kp, place.at.ko) for place in some]
            params = {"from_ms": min(times), "to_ms": max(times), "places": at}
            if await self._has(table, _AT, params):
                await self._delete(table, _AT, params)

    async def delete_person(self, person_ids: Sequence[str]) -> None:
        """Delete profiles and merges of these persons. Raises StillApplying, StoreUnavailable."""
        for start in range(0, len(person_ids), ROWS_MAX):
            params = {"person_ids": tuple(person_ids[start : start + ROWS_MAX])}
            for table in (PATCHES, FIELDS):
                if await self._has(table, _OF_PERSON, params):
                    await self._delete(table, _OF_PERSON, params)
            if await self._has(PERSON_OVERRIDES, _SEEN_AS, params):
                await self._delete(PERSON_OVERRIDES, _SEEN_AS, params)

    async def settle(self) -> None:
        """Return when all that was asked for is applied on every replica, whoever asked.

        Mutations of a table are applied in their order, so one that deletes nothing and is waited for comes
        after all others. Raises StillApplying, StoreUnavailable.
        """
        await self.wait()
        for table in TABLES:
            await self._delete(table, "tenant_id = %(tenant_id)s AND 0", {})

    async def delete_doubled(self) -> None:
        """Leave one of several outcomes of a record: two processes may have been at it."""
        params = {"tenant_id": self._tenant_id, "reason": self._tag.rpartition(" ")[2]}
        of_us = "tenant_id = %(tenant_id)s AND reason = %(reason)s"
        doubled = await self._warehouse.query(
            f"SELECT inc, topic, kp, ko FROM {OUTCOMES} WHERE {of_us} GROUP BY inc, topic, kp, ko "
            f"HAVING count() > 1 LIMIT {ROWS_MAX}",
            params,
        )
        if not doubled:
            return
        at = [(row["inc"], row["topic"], row["kp"], row["ko"]) for row in doubled]
        rows = await self._warehouse.query(
            f"SELECT inc, topic, kp, ko, _part AS part, _part_offset AS place FROM {OUTCOMES} WHERE {of_us} "
            "AND (inc, topic, kp, ko) IN %(at)s ORDER BY inc, topic, kp, ko, part, place",
            params | {"at": at},
        )
        kept, extra = set(), []
        for row in rows:
            named = (row["inc"], row["topic"], row["kp"], row["ko"])
            if named in kept:
                extra.append((row["part"], row["place"]))
            kept.add(named)
        # As in workers/recovery.py: a merge in between changes where a row lies, then nothing is deleted.
        await self._warehouse.execute(
            f"DELETE FROM {OUTCOMES} WHERE {of_us} AND (_part, _part_offset) IN %(extra)s",
            params | {"extra": extra},
        )

    async def wait(self) -> None:
        """Return when none of this erasure's mutations is under way here. Raises StillApplying."""
        give_up_at = time.monotonic() + WAIT_S_MAX
        while True:
            [row] = await self._warehouse.query(_UNDER_WAY, {"tag": self._tag})
            if not row["mutations"]:
                return
            if time.monotonic() > give_up_at:
                break
            await asyncio.sleep(LOOK_S)
        fault = f"; ClickHouse says: {row['fault']}" if row["fault"] else ""
        raise StillApplying(f"{row['mutations']} deletions are being applied by ClickHouse{fault}")

    async def _has(self, table: str, where: str, params: dict[str, Any]) -> bool:
        asked = {"tenant_id": self._tenant_id, **params}
        return bool(await self._warehouse.query(f"SELECT 1 AS one FROM {table} WHERE {where} LIMIT 1", asked))

    async def _delete(self, table: str, where: str, params: dict[str, Any]) -> None:
        """Ask for a deletion and wait for it: the adapter waits for every replica, for 25 s."""
        given = {"tenant_id": self._tenant_id, "tag": self._tag, **params}
        try:
            await self._warehouse.execute(f"ALTER TABLE {table} DELETE WHERE {where} AND {_TAG}", given)
        except (StoreUnavailable, QueryRefused) as error:
            log.info("a deletion in %s was not waited for: %s", table, error)
            await self.wait()
            raise StillApplying(f"a deletion in {table} is asked for again: {error}") from error
