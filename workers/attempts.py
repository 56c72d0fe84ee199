"""The memory of requests: which events of a byte-identical request a partition has seen, and where.

The ids of such a request share their first 12 bytes and end with the event's index (rule 3), so one entry
holds a whole request: when it was received, and the offsets of its indices as runs that follow each other.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from struct import Struct as Layout
from typing import NamedTuple

REQUESTS_MAX = 1_000_000
"""Of one worker, over all its partitions. A request of one event takes about 190 bytes."""

WINDOW_MS = 15 * 60 * 1000
"""A repeat is recognised if the two were received at most this far apart, by the gateways' stamps."""

_SKEW_MS = 5 * 60 * 1000  # how far one partition's stamps may be out of order: gateways have their own clocks

_HEAD = Layout("<qQ")  # received_at, the first offset; the indices follow, 2 bytes each
_Runs = bytes | tuple[bytes, ...]


class Seen(NamedTuple):
    """One event of a request: its index there, its offset, and when it was received (Unix ms)."""

    request_index: int
    ko: int
    received_at: int


class Attempts:
    """What one worker remembers. Keys are the partition's index and the request's 12 bytes."""

    def __init__(self, requests_max: int = REQUESTS_MAX) -> None:
        self._requests_max = requests_max
        self._known: dict[tuple[int, bytes], _Runs] = {}
        self._newest_ms: dict[int, int] = {}  # of each partition: one may lag hours behind another
        self._forgotten_ms: dict[int, int] = {}

    def owner(self, kp: int, request: bytes, event: Seen) -> int | None:
        """Return the offset of the first event with this id within the window, or None."""
        for run in _each(self._known.get((kp, request), ())):
            received_at, first = _HEAD.unpack_from(run)
            if abs(event.received_at - received_at) > WINDOW_MS:
                continue
            indices = memoryview(run)[_HEAD.size :].cast("H")
            place = bisect_left(indices, event.request_index)
            if place < len(indices) and indices[place] == event.request_index:
                return int(first) + place
        return None

    def knows(self, kp: int, request: bytes) -> bool:
        """Tell whether any event of the request was seen."""
        return (kp, request) in self._known

    def forgot(self, kp: int, received_at: int) -> bool:
        """Tell whether something was dropped for lack of room that an event received then may repeat."""
        return received_at <= self._forgotten_ms.get(kp, -WINDOW_MS) + WINDOW_MS

    def add(self, kp: int, request: bytes, events: Iterable[Seen]) -> None:
        """Remember events that own their ids, in the order of their offsets."""
        runs = tuple(_runs(events))
        if not runs:
            return
        known = (*_each(self._known.get((kp, request), ())), *runs)
        self._known[kp, request] = known if len(known) > 1 else known[0]
        received = max(_HEAD.unpack_from(run)[0] for run in runs)
        self._newest_ms[kp] = max(self._newest_ms.get(kp, 0), received)
        self._forget()

    def release(self, kp: int, request: bytes, index: int, ko: int) -> None:
        """Forget one event, because it ended dead: a repeat of it may be stored."""
        kept = [
            Seen(i, int(first) + place, received_at)
            for run in _each(self._known.get((kp, request), ()))
            for received_at, first in (_HEAD.unpack_from(run),)
            for place, i in enumerate(memoryview(run)[_HEAD.size :].cast("H"))
            if (i, int(first) + place) != (index, ko)
        ]
        self._known.pop((kp, request), None)
        self.add(kp, request, kept)

    def _forget(self) -> None:
        """Drop what is too old to matter, and the oldest entries beyond the bound."""
        while self._known:
            oldest = next(iter(self._known))
            kp = oldest[0]
            received_at = max(_HEAD.unpack_from(run)[0] for run in _each(self._known[oldest]))
            if received_at >= self._newest_ms[kp] - WINDOW_MS - _SKEW_MS:
                if len(self._known) <= self._requests_max:
                    return
                self._forgotten_ms[kp] = max(self._forgotten_ms.get(kp, 0), received_at)
            del self._known[oldest]


def _each(runs: _Runs | tuple[()]) -> tuple[bytes, ...]:
    return (runs,) if isinstance(runs, bytes) else runs


def _runs(events: Iterable[Seen]) -> Iterator[bytes]:
    """Pack events into runs: offsets without a hole, indices that rise, one time of receipt."""
    head: Seen | None = None
    indices = array("H")
    for event in events:
        follows = (
            head is not None
            and event.received_at == head.received_at
            and event.ko == head.ko + len(indices)
            and event.request_index > indices[-1]
        )
        if head is not None and not follows:
            yield _HEAD.pack(head.received_at, head.ko) + indices.tobytes()
        if not follows:
            head, indices = event, array("H")
        indices.append(event.request_index)
    if head is not None:
        yield _HEAD.pack(head.received_at, head.ko) + indices.tobytes()
