"""The memory of requests: which events of a byte-identical request a partition has seen, and where.

The ids of such a request share their first 12 bytes and end with the event's index (rule 3), so one entry
holds a whole request: when it was received, and the offsets of its indices as runs that follow each other.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from struct import Struct as Layout

from msgspec import Struct

REQUESTS_MAX = 1_000_000
"""Of one worker, over all its partitions."""

BYTES_MAX = 160 * 2**20
"""Of one worker's memory, estimated: a request of one event takes about 190, of 1,000 about 2,200."""

WINDOW_MS = 15 * 60 * 1000
"""A repeat is recognised if the two were received at most this far apart, by the gateways' stamps."""

SKEW_MS = 5 * 60 * 1000
"""How far one partition's stamps may be out of order: every gateway has a clock of its own."""

_ENTRY_BYTES = 170  # beside the runs: the key, the entry's place in the dictionary, the objects themselves

_HEAD = Layout("<qQ")  # received_at, the first offset; the indices follow, 2 bytes each
_Runs = bytes | tuple[bytes, ...]


class Seen(Struct, frozen=True, gc=False):
    """One event of a request: its index there, its offset, and when it was received (Unix ms)."""

    request_index: int
    ko: int
    received_at: int


class Run(Struct, frozen=True, gc=False):
    """Events of a request whose offsets follow each other from `ko` on, and whose indices rise."""

    received_at: int
    ko: int
    indices: "array[int]"  # of type "H"

    def packed(self) -> bytes:
        """Return it as it is remembered."""
        return _HEAD.pack(self.received_at, self.ko) + self.indices.tobytes()


class Attempts:
    """What one worker remembers. Partitions are named by their index, requests by their 12 bytes."""

    def __init__(self, requests_max: int = REQUESTS_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._requests_max = requests_max
        self._bytes_max = bytes_max
        # Each partition's in the order of its log: one may lag hours behind another.
        self._known: dict[int, dict[bytes, _Runs]] = {}
        self._newest_ms: dict[int, int] = {}
        self._forgotten_ms: dict[int, int] = {}
        self._requests = 0
        self._bytes = 0

    def owner(self, kp: int, request: bytes, event: Seen, *, window_ms: int = WINDOW_MS) -> int | None:
        """Return the offset of the first event with this id within the window, or None."""
        for run in self._runs_of(kp, request):
            received_at, first = _HEAD.unpack_from(run)
            if abs(event.received_at - received_at) > window_ms:
                continue
            indices = memoryview(run)[_HEAD.size :].cast("H")
            place = bisect_left(indices, event.request_index)
            if place < len(indices) and indices[place] == event.request_index:
                return int(first) + place
        return None

    def knows(self, kp: int, request: bytes) -> bool:
        """Tell whether any event of the request was seen."""
        return request in self._known.get(kp, ())

    def forgot(self, kp: int, received_at: int) -> bool:
        """Tell whether something was dropped for lack of room that an event received then may repeat."""
        return received_at <= self._forgotten_ms.get(kp, -WINDOW_MS) + WINDOW_MS

    def add(self, kp: int, request: bytes, events: Iterable[Seen]) -> None:
        """Remember events that own their ids, in the order of their offsets."""
        runs = tuple(_runs(events))
        if runs:
            self._add(kp, request, runs)

    def add_run(self, kp: int, request: bytes, run: Run) -> None:
        """Remember a run of events, as `add` does."""
        self._add(kp, request, (run.packed(),))

    def _add(self, kp: int, request: bytes, runs: tuple[bytes, ...]) -> None:
        known = (*self._runs_of(kp, request), *runs)
        self._drop(kp, request)
        self._known.setdefault(kp, {})[request] = known if len(known) > 1 else known[0]
        self._requests += 1
        self._bytes += _size(known)
        received = max(_HEAD.unpack_from(run)[0] for run in runs)
        self._newest_ms[kp] = max(self._newest_ms.get(kp, 0), received)
        self._forget_old(kp)
        self._make_room()

    def release(self, kp: int, request: bytes, request_index: int, ko: int) -> None:
        """Forget one event, because it ended dead: a repeat of it may be stored."""
        kept = [
            Seen(i, int(first) + place, received_at)
            for run in self._runs_of(kp, request)
            for received_at, first in (_HEAD.unpack_from(run),)
            for place, i in enumerate(memoryview(run)[_HEAD.size :].cast("H"))
            if (i, int(first) + place) != (request_index, ko)
        ]
        self._drop(kp, request)
        self.add(kp, request, kept)

    def forget(self, kp: int) -> None:
        """Forget a partition: what another worker decided of it meanwhile is not known here."""
        for request in list(self._known.get(kp, ())):
            self._drop(kp, request)
        self._newest_ms.pop(kp, None)
        self._forgotten_ms.pop(kp, None)

    def _runs_of(self, kp: int, request: bytes) -> tuple[bytes, ...]:
        runs = self._known.get(kp, {}).get(request, ())
        return (runs,) if isinstance(runs, bytes) else runs

    def _drop(self, kp: int, request: bytes) -> None:
        runs = self._runs_of(kp, request)
        if runs:
            del self._known[kp][request]
            self._requests -= 1
            self._bytes -= _size(runs)

    def _forget_old(self, kp: int) -> None:
        too_old_ms = self._newest_ms[kp] - WINDOW_MS - SKEW_MS
        while self._known[kp]:
            oldest = next(iter(self._known[kp]))
            if self._received_at(kp, oldest) >= too_old_ms:
                return
            self._drop(kp, oldest)

    def _make_room(self) -> None:
        while self._requests > self._requests_max or self._bytes > self._bytes_max:
            kp = max(self._known, key=lambda kp: len(self._known[kp]))
            oldest = next(iter(self._known[kp]))
            self._forgotten_ms[kp] = max(self._forgotten_ms.get(kp, 0), self._received_at(kp, oldest))
            self._drop(kp, oldest)

    def _received_at(self, kp: int, request: bytes) -> int:
        return max(int(_HEAD.unpack_from(run)[0]) for run in self._runs_of(kp, request))


def _size(runs: tuple[bytes, ...]) -> int:
    return _ENTRY_BYTES + sum(map(len, runs))


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
            yield Run(head.received_at, head.ko, indices).packed()
        if not follows:
            head, indices = event, array("H")
        indices.append(event.request_index)
    if head is not None:
        yield Run(head.received_at, head.ko, indices).packed()
