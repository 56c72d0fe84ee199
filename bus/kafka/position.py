"""What a member holds of the partitions it owns: where it reads, and records fetched but not yet taken."""

from collections import deque
from collections.abc import Sequence

from bus.base import Batch, Claim, Taken


class Position:
    """One owned partition. `taken` is the next offset to hand out, `fetched` the next one to fetch."""

    def __init__(self, claim: Claim, start: int) -> None:
        self.claim = claim
        self.taken = start
        self.fetched = start
        self.paused = False
        self.holes = 0
        self._waiting: deque[Taken] = deque()

    def accept(self, records: Sequence[Taken]) -> bool:
        """Keep what was fetched if it goes on exactly where the last left off; else keep nothing.

        aiokafka may skip records when another partition raises in the same call.
        """
        if records[0].offset != self.fetched or records[-1].offset != self.fetched + len(records) - 1:
            return False
        self._waiting.extend(records)
        self.fetched += len(records)
        self.holes = 0
        return True

    def cut(self, records_max: int, bytes_max: int) -> Batch | None:
        """Hand out what waits: at most `records_max`, and above `bytes_max` one record alone."""
        records: list[Taken] = []
        size_bytes = 0
        while self._waiting and len(records) < records_max:
            size_bytes += len(self._waiting[0].key) + len(self._waiting[0].value)
            if records and size_bytes > bytes_max:
                break
            records.append(self._waiting.popleft())
        if not records:
            return None
        self.taken += len(records)
        return Batch(claim=self.claim, records=records)
