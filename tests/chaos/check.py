"""The judge: compares what was acknowledged with what is stored, from its own file and its own queries."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from clickhouse_driver import Client

from tests.chaos.marks import MARK_PATTERN, Mark


class Stored(NamedTuple):
    """One row of `events` that carries a mark, and where its record stood."""

    mark: str
    kp: int
    ko: int


class Verdict(NamedTuple):
    """The books of one run; `lost` and `misordered` list examples (at most 20)."""

    by_dialect: dict[str, dict[str, int]]
    lost: list[str]
    misordered: list[str]

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, doubled or put out of order, and every dialect was acknowledged."""
        books = self.by_dialect.values()
        return not self.misordered and all(
            b["acked"] > 0 and b["lost"] == 0 and b["duplicated"] == 0 for b in books
        )


def stored_marks(client: Client) -> dict[str, list[Stored]]:
    """Read every marked row of plain `events` (never FINAL), by dialect."""
    rows = client.execute_iter(
        "SELECT dialect, extract(raw, %(pattern)s) AS mark, kp, ko FROM events WHERE mark != ''",
        {"pattern": MARK_PATTERN},
    )
    found: dict[str, list[Stored]] = {}
    for dialect, mark, kp, ko in rows:
        found.setdefault(dialect, []).append(Stored(mark, kp, ko))
    return found


def judge(acked: Iterable[Mark], stored: dict[str, list[Stored]], dialects: Iterable[str]) -> Verdict:
    """lost = acked - stored; duplicated = count - distinct; acked marks of a subject stand in order."""
    by_dialect: dict[str, dict[str, int]] = {}
    lost: list[str] = []
    misordered: list[str] = []
    marks = list(acked)
    for dialect in dialects:
        mine = [mark for mark in marks if mark.dialect == dialect]
        rows = stored.get(dialect, [])
        there = {row.mark: row for row in rows}
        gone = [mark.text for mark in mine if mark.text not in there]
        lost += gone
        if dialect != "tracker":  # its beacons have no subject in common
            misordered += _misordered(mine, there)
        by_dialect[dialect] = {
            "acked": len(mine),
            "lost": len(gone),
            "duplicated": len(rows) - len(there),
        }
    return Verdict(by_dialect, lost[:20], misordered[:20])


def _misordered(acked: list[Mark], there: dict[str, Stored]) -> list[str]:
    """Acked marks of one subject whose offset lies before that of an earlier one."""
    last: dict[str, Stored] = {}
    wrong = []
    for mark in sorted(acked, key=lambda m: (m.subject, m.sequence)):
        row = there.get(mark.text)
        if row is None:
            continue
        before = last.get(mark.subject)
        if before is not None and (before.kp != row.kp or before.ko >= row.ko):
            wrong.append(f"{mark.text} at {row.kp}/{row.ko} after {before.mark} at {before.kp}/{before.ko}")
        last[mark.subject] = row
    return wrong


def totals(verdict: Verdict) -> dict[str, Any]:
    """Sums over all dialects."""
    sums: Counter[str] = Counter()
    for books in verdict.by_dialect.values():
        sums.update(books)
    return {key: sums[key] for key in ("acked", "lost", "duplicated")}
