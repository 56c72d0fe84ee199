"""How often this worker met each address and person within a minute, in bounded memory.

A minute has a dict of its own, so that a name is the event's own text: hashed once, and compared at once.
One dict over all, keyed by tuples, took over twice the time (docs/decisions/0156).
"""

from collections.abc import Sequence

MINUTE_ENTRIES = 4
"""What an empty minute takes, in entries: a backfill may have one for every event."""

When = tuple[int, int]
"""A tenant, and the number of a minute since 1970."""


class Minutes:
    """Two generations, as LastUsed has: at most `entries_max`, and what one batch brings, in passing."""

    def __init__(self, entries_max: int) -> None:
        self._half = entries_max // 2
        self._young: dict[When, dict[str, int]] = {}
        self._old: dict[When, dict[str, int]] = {}
        self._young_entries = 0

    def __len__(self) -> int:
        return sum(len(counts) for of in (self._young, self._old) for counts in of.values())

    def turn(self) -> None:
        """Forget what was used longest ago, where it is time to; before each batch."""
        if self._young_entries >= self._half:
            self._old, self._young, self._young_entries = self._young, {}, 0

    def count(self, when: When, names: Sequence[str], first_new: int, at_least: float) -> dict[str, int]:
        """Count names from the index `first_new` on; return those of `names` that were met so often."""
        counts = self._young.get(when)
        if counts is None:
            counts = self._young[when] = {}
            self._young_entries += MINUTE_ENTRIES
        known = len(counts)
        old = self._old.get(when)
        if old:
            for name in old.keys() & names:
                counts[name] = old.pop(name)
        busy: dict[str, int] = {}
        if first_new:
            busy = {name: counts[name] for name in names[:first_new] if counts.get(name, 0) >= at_least}
            names = names[first_new:]
        for name in names:
            counts[name] = number = counts.get(name, 0) + 1
            if number >= at_least:
                busy[name] = number
        self._young_entries += len(counts) - known
        return busy
