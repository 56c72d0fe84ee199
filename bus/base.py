"""What a bus promises, whichever engine carries it.

A record is durable when `publish` returns. A partition is read by one owner at a time; a commit by
an owner that has been replaced is refused, so that two workers never both believe in one range.
"""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from msgspec import Struct

from schemas.topics import Partition


class BusError(Exception):
    """The root of what a bus raises.

    - BusUnavailable: the engine did not answer in time; whether the records landed is unknown
    - RecordTooLarge: a record can never be published; nothing of the call was sent
    - Fenced: another owner has the partition; drop what is in hand for it
    - LogChanged: the log is not the one that was read before (recreated or truncated); stop
    """


class BusUnavailable(BusError):
    """Not durable as far as we know: the caller must tell its own caller to try again."""


class RecordTooLarge(BusError):
    """A key and value together above `RECORD_BYTES_MAX`."""


class Fenced(BusError):
    """The partition has another owner by now."""


class LogChanged(BusError):
    """The log lost or replaced records that were read or committed before."""


AFTER_A_LOSS = (
    "If the topic was recreated or lost records, raise PENSTOCK_BUS_INCARNATION by one for all processes"
)
"""What an operator can do then; the way there is in docs/operations.md."""


RECORD_BYTES_MAX = 384 * 1024
"""Event <= 256 KiB < record <= 384 KiB < batch 512 KiB < the topic's max.message.bytes, 2 MiB: a record
that the broker refuses would poison an idempotent producer, so it is checked before the batch."""


class Record(NamedTuple):
    """One record to publish. Records with the same key keep their order."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Taken(NamedTuple):
    """One record as read: `value` is what was published, `offset` its place in the partition."""

    offset: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Claim(Struct, frozen=True):
    """A partition that this subscription owns until it is revoked or fenced.

    `committed` is the offset of the last commit (None: never committed) and `note` the text stored
    with it. `log_start` is the first offset still there, `log_end` one past the last. `epoch` tells
    this ownership from an earlier one of the same process. `inc` is the log's incarnation.
    """

    partition: Partition
    inc: int
    epoch: int
    committed: int | None
    note: str
    log_start: int
    log_end: int


class Batch(Struct, frozen=True):
    """Records of one partition with contiguous offsets: `records[i].offset == start + i`; never empty."""

    claim: Claim
    records: Sequence[Taken]

    @property
    def start(self) -> int:
        """The first offset."""
        return self.records[0].offset

    @property
    def end(self) -> int:
        """One past the last offset."""
        return self.records[-1].offset + 1


class Mark(Struct, frozen=True):
    """A commit for one partition: all below `offset` is done; `note` (<= 4000 bytes) says what is next."""

    claim: Claim
    offset: int
    note: str = ""


class Owner(Protocol):
    """What a subscription tells its worker about ownership, from a task of its own.

    What these methods raise comes out of the next `take`.
    """

    async def assigned(self, claims: Sequence[Claim]) -> Mapping[Partition, int]:
        """Say from which offset each newly owned partition is read."""

    async def revoked(self, claims: Sequence[Claim]) -> None:
        """Finish or abandon what is in hand. Called before the partitions move on, which waits up to 25 s.

        Commits for them are taken until this returns, unless they were lost already (Fenced). `take` gives
        nothing of them any more.
        """


class Subscription(Protocol):
    """One member of a consumer group. Not for use by several tasks at once."""

    async def take(self, *, records_max: int, bytes_max: int, wait_ms: int) -> Sequence[Batch]:
        """Return what is there, at most `records_max` and about `bytes_max` a partition.

        Waits up to `wait_ms` for the first record; empty when none came. Raises LogChanged.
        """

    async def commit(self, marks: Sequence[Mark]) -> None:
        """Store offsets and notes; survives a restart. Raises Fenced (nothing stored) or BusUnavailable."""

    def pause(self, claims: Sequence[Claim]) -> None:
        """Leave these partitions out of `take` until `resume`; the ownership is kept."""

    def resume(self, claims: Sequence[Claim]) -> None:
        """Take up paused partitions again."""

    async def lag(self) -> Mapping[Partition, int]:
        """Records not yet taken, for each owned partition."""

    async def close(self) -> None:
        """Leave the group, so that the partitions move on at once; calls `revoked` for what is owned."""


class Bus(Protocol):
    """The engine. Use as an async context manager: it opens connections on entry."""

    async def publish(self, topic: str, records: Sequence[Record], *, deadline_s: float = 5.0) -> None:
        """Return when every record is durable.

        Raises RecordTooLarge (nothing sent) or BusUnavailable (some may have landed: never re-sent here).
        """

    async def subscribe(self, topic: str, *, group: str, owner: Owner) -> Subscription:
        """Join `group` on `topic`. Raises BusUnavailable."""

    async def ends(self, topic: str) -> Mapping[Partition, tuple[int, int]]:
        """First offset and one past the last, for every partition. Raises BusUnavailable."""

    async def committed(self, topic: str, *, group: str) -> Mapping[Partition, tuple[int, str]]:
        """Offset and note last committed by `group`, where there is one. Raises BusUnavailable."""

    async def read(self, partition: Partition, *, start: int, end: int) -> Sequence[Taken]:
        """Read records [start, end) outside any group (replay, audit); fewer if the log is shorter.

        Raises BusUnavailable.
        """

    async def expire(self, topic: str) -> int | None:
        """Let go of records that are too old, where the engine waits for a write to do so.

        Returns how long a record is kept, in ms, or None: for good. Raises BusUnavailable.
        """

    async def probe(self) -> None:
        """Return if the bus would accept a record now, else raise BusUnavailable."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
