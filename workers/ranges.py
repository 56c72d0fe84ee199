"""One contiguous stretch of a partition on its way into the warehouse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bus.base import Claim, Taken
from schemas.rows import OUTCOMES, PATCHES, TIME_MS_END, TIME_MS_MIN
from workers.intent import Intent
from workers.judging import Death
from workers.matches import Matched
from workers.stage import Dead

ROW_REFUSED = "row_refused"
REASON_CHARS_MAX = 500


@dataclass(slots=True, kw_only=True)
class Range:
    """[start, end): each offset is in exactly one of `stored`, `duplicate`, `dropped` (rows) and `dead`.

    `matches` are what automation filters want of it; also those of stored offsets only.
    `patches` are the rows of `customer_patches` (None: its pipeline has none); those of stored offsets count.
    Records that became rows are not kept: a range waiting for the warehouse holds its rows only.
    `times` bounds the `received_at` of all rows (Unix ms, both included). `resumed` says that an
    earlier attempt may have written some of it. `token` begins the tokens of its first inserts, which it may
    share with other ranges (workers/bundle.py); "" where that is not known.
    """

    claim: Claim
    start: int
    end: int
    table: str  # of the rows in `stored`
    stored: dict[int, str]
    duplicate: dict[int, str] = field(default_factory=dict)
    dropped: dict[int, str] = field(default_factory=dict)
    patches: dict[int, str] | None = None
    matches: dict[int, Matched] = field(default_factory=dict)
    dead: dict[int, Death] = field(default_factory=dict)
    dead_records: dict[int, Taken] = field(default_factory=dict)
    times: tuple[int, int]
    resumed: bool = False
    token: str = ""
    last_digest: str

    @property
    def name(self) -> str:
        """What names this range for good: it begins the tokens of what it inserts alone."""
        p = self.claim.partition
        return f"{self.claim.inc}/{p.topic}/{p.index}/{self.start}-{self.end}"

    @property
    def intent(self) -> Intent:
        """What is declared before any of it is written."""
        return Intent(self.end, *self.times, self.token)

    def rows_of(self, table: str) -> Mapping[int, str]:
        """Return what this range has to put into `table`, by offset."""
        if table == PATCHES:
            return {offset: row for offset, row in (self.patches or {}).items() if offset in self.stored}
        return self.duplicate | self.dropped if table == OUTCOMES else self.stored

    def refuse(self, offset: int, message: str) -> None:
        """Note that the warehouse will never take the row at `offset`."""
        for rows in (self.stored, self.duplicate, self.dropped):
            rows.pop(offset, None)
        self.dead[offset] = Death("warehouse", Dead(ROW_REFUSED, message[:REASON_CHARS_MAX]))

    def defer_to(self, stored: Sequence[int], outcomes: Mapping[int, str]) -> None:
        """Let stand what an earlier attempt wrote, whatever today's judgement says of these offsets.

        `outcomes` gives the outcome by offset. An erased event is on record as one that is not stored.
        """
        for offset in stored:
            self._move(offset, self.stored)
        for offset, outcome in outcomes.items():
            self._move(offset, self.duplicate if outcome == "duplicate" else self.dropped)

    def _move(self, offset: int, to: dict[int, str]) -> None:
        row = to.get(offset, "")
        for rows in (self.stored, self.duplicate, self.dropped):
            rows.pop(offset, None)
        self.dead.pop(offset, None)
        to[offset] = row

    @property
    def counts(self) -> dict[str, int]:
        """How many of its records had which outcome."""
        return {
            "stored": len(self.stored),
            "duplicate": len(self.duplicate),
            "dropped": len(self.dropped),
            "dead": len(self.dead),
        }

    def check(self) -> None:
        """Count in, count out: nothing leaves without an outcome."""
        taken = self.end - self.start
        c = self.counts
        assert c["stored"] + c["duplicate"] + c["dropped"] + c["dead"] == taken, f"{self.name}: {c}"


def times_of(received: Sequence[int], intent: Intent | None) -> tuple[int, int]:
    """Return the bounds of `received_at` (Unix ms) over a range and what was declared for it."""
    low, high = min(received, default=TIME_MS_END), max(received, default=TIME_MS_MIN)
    if intent is not None:
        low, high = min(low, intent.received_from), max(high, intent.received_to)
    return low, high
