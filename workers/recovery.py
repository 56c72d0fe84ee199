"""What the warehouse has of a range: asked after every insert whose outcome is unknown, never assumed."""

# ruff: noqa: S608 - table names are constants of schemas/rows.py; every value is a parameter
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from bus.base import Claim
from schemas.rows import BATCHES, OUTCOMES, PATCHES
from stores.base import QueryRefused, StoreUnavailable, Warehouse
from workers.inserts import OF_PARTITION, of_partition
from workers.ranges import Range
from workers.replicas import Replicas

_OF_PARTITION = "topic = %(topic)s AND kp = %(kp)s AND inc = %(inc)s"
# The bounds of received_at let the engine skip whole months; offsets alone would not.
_IN_TIME = (
    "received_at >= fromUnixTimestamp64Milli(toInt64(%(from_ms)s)) "
    "AND received_at <= fromUnixTimestamp64Milli(toInt64(%(to_ms)s))"
)
_OF_RANGE = f"{_OF_PARTITION} AND ko >= %(start)s AND ko < %(end)s AND {_IN_TIME}"
_OF_RANGES = f"topic = %(topic)s AND inc = %(inc)s AND {_IN_TIME}"

_FIELDS = "tenant_id, person_id, dialect, source, field, value, rank"

DELETED_MAX = 2_000
"""Rows named in one DELETE: a statement is parsed up to 256 KiB."""

TAIL_OFFSETS = 100_000
"""How far behind the last finished range a row is looked for: offsets are indexed, the table may be huge."""


class Tail(Struct, frozen=True):
    """Where a partition's rows end. `complete` is one past the last finished range, 0 without one.

    `last_offset` is of the last row of all, and `last_id` its event id ("" where it has none).
    """

    complete: int
    last_offset: int | None
    last_id: str


class Written:
    """Reads and mends the tables that a pipeline writes: `table`, and `outcomes` beside it.

    `cluster` is the name of the warehouse's cluster, "" for a single server.
    """

    def __init__(self, warehouse: Warehouse, table: str, *, outcomes: bool, cluster: str = "") -> None:
        self.replicas = Replicas(warehouse, cluster)
        self._warehouse = warehouse
        self._table = table
        self._outcomes = outcomes

    async def kill_inserts(self, claim: Claim) -> None:
        """End every insert for the partition that is still running, ours or a frozen predecessor's.

        Another database of the server may be another installation, with the same topics. A server that
        knows no KILL QUERY, or does not let us, is left alone: the tokens of late inserts collide with
        ours, and the rows are counted afterwards in any case. Raises StoreUnavailable.
        """
        try:
            await self._warehouse.execute(
                f"KILL QUERY {self.replicas.on_cluster}WHERE {OF_PARTITION} "
                "AND current_database = currentDatabase() SYNC",
                of_partition(claim.partition),
            )
        except QueryRefused:
            return

    async def copies(self, range_: Range, table: str) -> Mapping[int, int]:
        """Return how many rows `table` has for each offset of the range that it has."""
        if table == BATCHES:
            sql = f"SELECT start AS ko, 1 AS copies FROM batches WHERE {_OF_PARTITION}"
            sql += " AND start = %(start)s AND end = %(end)s LIMIT 1"
        else:
            sql = f"SELECT ko, count() AS copies FROM {table} WHERE {_OF_RANGE} GROUP BY ko"
        await self.replicas.catch_up(table)
        rows = await self._query(sql, _params(range_))
        return {int(row["ko"]): int(row["copies"]) for row in rows}

    async def outcomes(self, range_: Range) -> Mapping[int, str]:
        """Return the outcome of each offset of the range that has one on record.

        Of a letter that is `erased`: an open range must not bring it back.
        """
        sql = f"SELECT ko, any(outcome) AS outcome FROM {OUTCOMES} WHERE {_OF_RANGE} GROUP BY ko"
        await self.replicas.catch_up(OUTCOMES)
        rows = await self._query(sql, _params(range_))
        return {int(row["ko"]): str(row["outcome"]) for row in rows}

    async def apply_patches(self, ranges: Sequence[Range]) -> None:
        """Bring the profiles up to what `customer_patches` has of the ranges; again changes nothing.

        The ranges are of one topic and incarnation. Raises StoreUnavailable.
        """
        at = "(kp = {} AND ko >= {} AND ko < {})"
        places = [at.format(r.claim.partition.index, r.start, r.end) for r in ranges]
        changes = f"SELECT {_FIELDS} FROM customer_changes WHERE {_OF_RANGES} AND ({' OR '.join(places)})"
        params = _params(ranges[0]) | {
            "from_ms": min(range_.times[0] for range_ in ranges),
            "to_ms": max(range_.times[1] for range_ in ranges),
        }
        await self.replicas.catch_up(PATCHES)
        try:
            await self._warehouse.execute(f"INSERT INTO customer_fields ({_FIELDS}) {changes}", params)
        except QueryRefused as error:
            names = ", ".join(range_.name for range_ in ranges)
            raise StoreUnavailable(f"the patches of {names} cannot be applied: {error}") from error

    async def delete_doubled(self, range_: Range, table: str, offsets: Sequence[int]) -> None:
        """Delete all rows but one of each of these offsets; with very many of them, of the first.

        A merge in between changes where a row lies: then nothing is deleted, and counting shows it.
        """
        params = {**_params(range_), "offsets": tuple(offsets[:DELETED_MAX])}
        sql = f"SELECT ko, _part AS part, _part_offset AS place FROM {table} WHERE {_OF_RANGE}"
        found = await self._query(f"{sql} AND ko IN %(offsets)s ORDER BY ko, part, place", params)
        kept: set[int] = set()
        extra: list[tuple[str, int]] = []
        for row in found:
            if row["ko"] in kept:
                extra.append((row["part"], row["place"]))
            kept.add(row["ko"])
        if not extra:
            return
        params = {**_params(range_), "extra": tuple(extra[:DELETED_MAX])}
        try:
            await self._warehouse.execute(
                f"DELETE FROM {table} WHERE {_OF_RANGE} AND (_part, _part_offset) IN %(extra)s", params
            )
        except QueryRefused as error:
            raise StoreUnavailable(f"doubled rows of {range_.name} cannot be deleted: {error}") from error

    async def tail(self, claim: Claim) -> Tail:
        """Say where the rows of a partition end. Raises StoreUnavailable."""
        params: dict[str, Any] = {
            "topic": claim.partition.topic,
            "kp": claim.partition.index,
            "inc": claim.inc,
        }
        await self.replicas.catch_up(BATCHES)
        sql = f"SELECT max(end) AS complete FROM {BATCHES} WHERE {_OF_PARTITION}"
        (found,) = await self._query(sql, params)
        complete = int(found["complete"])
        params["from"] = max(complete - TAIL_OFFSETS, 0)
        last: list[dict[str, Any]] = []
        for table in (self._table, OUTCOMES) if self._outcomes else (self._table,):
            await self.replicas.catch_up(table)
            sql = f"SELECT ko, toString(event_id) AS id FROM {table} WHERE {_OF_PARTITION}"
            last += await self._query(f"{sql} AND ko >= %(from)s ORDER BY ko DESC LIMIT 1", params)
        if not last:
            return Tail(complete, None, "")
        row = max(last, key=lambda row: int(row["ko"]))
        return Tail(complete, int(row["ko"]), row["id"] or "")

    async def _query(self, sql: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        try:
            return await self._warehouse.query(sql, params)
        except QueryRefused as error:
            # Our own statement cannot be wrong: a limit was hit, or a table is being altered.
            raise StoreUnavailable(str(error)) from error


def _params(range_: Range) -> dict[str, Any]:
    partition = range_.claim.partition
    return {
        "topic": partition.topic,
        "kp": partition.index,
        "inc": range_.claim.inc,
        "start": range_.start,
        "end": range_.end,
        "from_ms": range_.times[0],
        "to_ms": range_.times[1],
    }
