"""A warehouse in memory that fails in every way a real one can, for the tests of the workers."""

import re
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from schemas.rows import (
    BATCH_PARTS,
    BATCHES,
    EVENT_PARTS,
    LANDING,
    OUTCOME_PARTS,
    QUARANTINE_PARTS,
)
from stores.base import InsertRefused, QueryRefused, StoreUnavailable

Fault = Literal[
    "",
    "before",  # nothing happens, the caller gets an error
    "after",  # all rows are stored, the caller gets an error
    "half",  # the first half is stored, the caller gets an error
    "spoilt",  # the token is remembered, the rows are lost, the caller gets an error
    "lost",  # the same, but the insert is acknowledged: only a repeat of a spoilt token may do so
    "doubled",  # all rows are stored twice, the caller gets an error
]

PARTS = {
    "events": EVENT_PARTS,
    "outcomes": OUTCOME_PARTS,
    "quarantine": QUARANTINE_PARTS,
    "batches": BATCH_PARTS,
}
FAULTS: tuple[Fault, ...] = ("before", "after", "half", "spoilt", "doubled")
"""Those that a healthy worker gets over."""

TABLES = {landing: table for table, landing in LANDING.items()}


@dataclass
class Row:
    """One stored row; `row` is by part name."""

    topic: str
    kp: int
    ko: int
    inc: int
    row: dict[str, Any]
    part: str
    place: int

    @property
    def at(self) -> tuple[int, str, int, int]:
        return (self.inc, self.topic, self.kp, self.ko)


@dataclass
class Recorder:
    """Implements stores.base.Warehouse over lists. `faults` are taken one an insert, from the left."""

    faults: deque[Fault] = field(default_factory=deque)
    refuses: Callable[[dict[str, Any]], bool] = lambda row: False
    down: bool = False
    reads_fail: int = 0
    knows_kill: bool = True
    rows: dict[str, list[Row]] = field(default_factory=lambda: {table: [] for table in PARTS})
    tokens: set[tuple[str, str]] = field(default_factory=set)
    inserts: list[tuple[str, str, int]] = field(default_factory=list)  # table, token, rows
    statements: list[str] = field(default_factory=list)

    async def insert(
        self, table: str, columns: Mapping[str, Sequence[Any]], *, token: str, query_id: str
    ) -> None:
        table = TABLES[table]
        made = self._rows(table, columns)
        self.inserts.append((table, token, len(made)))
        if self.down:
            raise StoreUnavailable("down")
        if table != BATCHES and any(self.refuses(row.row) for row in made):
            raise InsertRefused("a part of the row is missing or of another type")
        fault = self.faults.popleft() if self.faults else ""
        if fault == "before":
            raise StoreUnavailable("before")
        known = (table, token) in self.tokens
        self.tokens.add((table, token))
        if not known and fault not in ("spoilt", "lost"):
            count = len(made) // 2 if fault == "half" else len(made)
            self.rows[table].extend(made[:count])
            if fault == "doubled":
                again = self._rows(table, columns, part="again")
                self.rows[table].extend(again)
        if fault not in ("", "lost"):
            raise StoreUnavailable(fault)

    def _rows(self, table: str, columns: Mapping[str, Sequence[Any]], part: str = "") -> list[Row]:
        part = part + f"part{len(self.inserts)}"
        return [
            Row(topic, kp, ko, inc, dict(zip(PARTS[table], msgspec.json.decode(row), strict=True)), part, n)
            for n, (topic, kp, ko, inc, row) in enumerate(
                zip(*(columns[name] for name in ("topic", "kp", "ko", "inc", "row")), strict=True)
            )
        ]

    async def query(
        self, sql: str, params: Mapping[str, Any] | None = None, *, threads_max: int | None = None
    ) -> list[dict[str, Any]]:
        if self.down or self.reads_fail:
            self.reads_fail = max(self.reads_fail - 1, 0)
            raise StoreUnavailable("no read")
        assert params is not None
        if "src_ko AS ko" in sql:
            return []  # no quarantine worker runs beside it: letters are in their topic only
        table, rows = self._matching(sql, params)
        if "count() AS copies" in sql:
            counts = Counter(row.ko for row in rows)
            return [{"ko": ko, "copies": copies} for ko, copies in counts.items()]
        if "1 AS copies" in sql:
            found = [row for row in rows if row.ko == params["start"] and row.row["end"] == params["end"]]
            return [{"ko": row.ko, "copies": 1} for row in found[:1]]
        if "any(outcome)" in sql:
            return [{"ko": row.ko, "outcome": row.row["outcome"]} for row in rows]
        if "_part AS part" in sql:
            found = sorted(
                (row for row in rows if row.ko in params["offsets"]), key=lambda r: (r.ko, r.part, r.place)
            )
            return [{"ko": row.ko, "part": row.part, "place": row.place} for row in found]
        if "max(end)" in sql:
            return [{"complete": max((row.row["end"] for row in rows), default=0)}]
        assert "ORDER BY ko DESC LIMIT 1" in sql, sql
        assert table in ("events", "outcomes", "quarantine")
        last = max(rows, key=lambda row: row.ko, default=None)
        return [] if last is None else [{"ko": last.ko, "id": last.row["event_id"]}]

    async def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        self.statements.append(sql)
        if self.down:
            raise StoreUnavailable("down")
        if sql.startswith("KILL QUERY"):
            if not self.knows_kill:
                raise QueryRefused("no such statement")
            return
        assert sql.startswith("DELETE FROM ")
        assert params is not None
        table, rows = self._matching(sql, params)
        gone = [row for row in rows if (row.part, row.place) in params["extra"]]
        self.rows[table] = [row for row in self.rows[table] if not any(row is other for other in gone)]

    def _matching(self, sql: str, params: Mapping[str, Any]) -> tuple[str, list[Row]]:
        match = re.search(r"FROM (\w+)", sql)
        assert match is not None
        table = match[1]
        place = (params["topic"], params["kp"], params["inc"])
        rows = [row for row in self.rows[table] if (row.topic, row.kp, row.inc) == place]
        if "ko >= %(from)s" in sql:
            rows = [row for row in rows if row.ko >= params["from"]]
        if "ko >= %(start)s" in sql:
            rows = [
                row
                for row in rows
                if params["start"] <= row.ko < params["end"]
                and params["from_ms"] <= row.row["received_at"] <= params["to_ms"]
            ]
        return table, rows

    async def probe(self) -> None:
        if self.down:
            raise StoreUnavailable("down")

    def ids(self, table: str = "events") -> list[str]:
        """Return the event id of each row."""
        return [row.row["event_id"] for row in self.rows[table]]
