"""How far a worker has come in each partition: what it counted already, and since when it remembers."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from schemas.event import Event
from schemas.topics import Coordinates, Partition
from workers.fraud.rules import WARM_MS


class Progress(NamedTuple):
    """Offsets below `next` are counted; events received before `warm_at` (Unix ms) meet cold state."""

    next: int
    warm_at: int


class Warmth:
    """Watches the batches of all partitions go by."""

    def __init__(self) -> None:
        self._progress: dict[Partition, Progress] = {}

    def taken_over(self, partition: Partition) -> None:
        """Begin anew: another worker may have counted meanwhile."""
        self._progress.pop(partition, None)

    def begin(self, events: Sequence[Event]) -> tuple[int, int]:
        """Return the index of the first event that was not counted, and `warm_at`, for one batch."""
        known = self._progress.get(_partition(_at(events[0])))
        if known is None:
            return 0, events[0].received_at + WARM_MS
        return bisect_right(events, known.next - 1, key=lambda event: _at(event).ko), known.warm_at

    def finish(self, events: Sequence[Event], warm_at: int) -> None:
        """Note that a batch was counted: judged again, it is not counted again."""
        last = _at(events[-1])
        partition = _partition(last)
        known = self._progress.get(partition)
        after = last.ko + 1 if known is None else max(last.ko + 1, known.next)
        self._progress[partition] = Progress(after, warm_at)


def _at(event: Event) -> Coordinates:
    assert isinstance(event.at, Coordinates), "the event did not come from the log"
    return event.at


def _partition(at: Coordinates) -> Partition:
    return Partition(at.topic, at.kp)
