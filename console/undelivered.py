"""Dead letters that are published and not yet in the quarantine: they are in flight, and no gap."""

from collections.abc import Sequence

from msgspec import Struct

from bus.base import Bus
from console.offsets import MISSING_MAX, Count, Span, missing
from console.records import records
from schemas.envelope import EnvelopeError, decode_dead
from schemas.topics import DEAD, Coordinates, Partition
from stores.base import Warehouse

LETTERS_MAX = 200_000
"""So many are read to learn which records they are about; of more it is not known."""


class Lost(Struct, frozen=True):
    """Of what no table knows: how many records are on their way as dead letters, and the offsets of the rest.

    Of very many offsets the first are named.
    """

    on_the_way: int = 0
    offsets: Sequence[int] = ()


class Undelivered:
    """The dead letters from where the quarantine's reader was to the end of the topic, read when asked for.

    `until` and `ends` are by partition of `events.dead`.
    """

    def __init__(self, bus: Bus, until: Sequence[int], ends: Sequence[int]) -> None:
        self._bus = bus
        self._spans = [(Partition(DEAD, kp), *span) for kp, span in enumerate(zip(until, ends, strict=True))]
        self._sources: set[Coordinates] | None = None
        self.unread = 0

    async def sources(self) -> set[Coordinates]:
        """Return which records the letters are about; `unread` letters were too many.

        Raises BusUnavailable.
        """
        if self._sources is None:
            left = LETTERS_MAX
            self._sources = set()
            for partition, start, end in self._spans:
                stop = min(end, start + left)
                self.unread += max(end - stop, 0)
                left -= max(stop - start, 0)
                async for record in records(self._bus, partition, start, stop):
                    try:
                        letter = decode_dead(record.value)
                    except EnvelopeError:
                        continue  # the quarantine worker keeps it as it is; it names no source
                    at = Coordinates(letter.src_inc, letter.src_topic, letter.src_kp, letter.src_ko)
                    self._sources.add(at)
        return self._sources


async def undelivered(warehouse: Warehouse, letters: Undelivered, span: Span, count: Count) -> Lost:
    """Sort out what no table knows of a span: on its way as a dead letter, or lost.

    `letters` must have been made before `count` was counted. Raises BusUnavailable, StoreUnavailable.
    """
    total = span.width - count.known
    if not total:
        return Lost()
    unknown = await missing(warehouse, span)
    sources = await letters.sources()
    of_span = {c.ko for c in sources if (c.inc, c.topic, c.kp) == (span.inc, span.topic, span.kp)}
    lost = [offset for offset in unknown if offset not in of_span]
    # What came in since the count was a letter on its way, too.
    on_the_way = min(total, MISSING_MAX) - len(lost)
    # Where not all was looked at, what may be a letter is not called lost.
    beyond = sum(offset > unknown[-1] for offset in of_span) if total > MISSING_MAX else 0
    return Lost(on_the_way + min(total - on_the_way, letters.unread + beyond), lost)
