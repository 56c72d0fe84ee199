"""How often this worker met each address and person within a minute, in bounded memory.

A minute has a dict of its own, so that a name is the event's own text: hashed once, and compared at once.
One dict over all, keyed by tuples, took over twice the time (docs/decisions/0156).
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

MINUTE_ENTRIES = 4
"""What an empty minute takes, in entries: a backfill may have one for every event."""


Of = Literal["ip", "person"]


class Minute(NamedTuple):
    """Whose events, and when: `window` is the number of the minute since 1970."""

    of: Of
    tenant_id: int
    window: int


class Minutes:
    """Two generations, as LastUsed has: at most `entries_max`, and what one batch brings, in passing."""

    def __init__(self, entries_max: int) -> None:
        self._half = entries_max // 2
        self._young: dict[Minute, Counter[str]] = {}
        self._old: dict[Minute, Counter[str]] = {}
        self._young_entries = 0

    def __len__(self) -> int:
        return sum(len(counts) for of in (self._young, self._old) for counts in of.values())

    def turn(self) -> None:
        """Forget what was used longest ago, where it is time to; before each batch."""
        if self._young_entries >= self._half:
            self._old, self._young, self._young_entries = self._young, {}, 0

    def count(self, minute: Minute, names: Sequence[str], first_new: int) -> Counter[str]:
        """Count names from the index `first_new` on, and return what this minute has, these and others."""
        counts = self._young.get(minute)
        if counts is None:
            counts = self._young[minute] = Counter()
            self._young_entries += MINUTE_ENTRIES
        known = len(counts)
        old = self._old.get(minute)
        if old:
            for name in old.keys() & names:
                counts[name] = old.pop(name)
        counts.update(names[first_new:] if first_new else names)
        self._young_entries += len(counts) - known
        return counts
