"""Where a new owner of a partition goes on, and the proof that the log is still the one it was."""

import logging
import time
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from bus.base import Bus, BusUnavailable, Claim, LogChanged, Taken
from schemas.rows import TIME_MS_END, TIME_MS_MIN
from schemas.topics import Partition
from stores.base import StoreUnavailable
from workers.backoff import Backoff
from workers.intent import Intent, Note, NoteUnreadable, digest
from workers.letters import stamps
from workers.recovery import Written

log = logging.getLogger("penstock.worker")

ASSIGN_S = 20.0
"""A rebalance waits for the answer, so after this the worker stops and says why."""

REMEDY = "If the log was recreated or lost records, raise PENSTOCK_BUS_INCARNATION by one to go on."


class Start(Struct, frozen=True):
    """All below `position` is done; `intent` may be partly written; `before` as in the note."""

    position: int
    before: str = ""
    intent: Intent | None = None

    @property
    def next_offset(self) -> int:
        """The first offset to take from the log: an open range is read on its own."""
        return self.position if self.intent is None else self.intent.end


def from_note(claim: Claim) -> Start | None:
    """Return what the group committed, or None if it never did in this incarnation. Raises LogChanged."""
    if claim.committed is None:
        return None
    try:
        note = Note.parse(claim.note) if claim.note else Note(claim.inc)
    except NoteUnreadable as error:
        raise LogChanged(f"{claim.partition}: {error}; stop the other users of this consumer group") from None
    if note.inc < claim.inc:
        log.warning("%s: going on in incarnation %d", claim.partition, claim.inc)
        return None
    if note.inc > claim.inc:
        raise LogChanged(
            f"{claim.partition} was read as incarnation {note.inc} before, and "
            f"PENSTOCK_BUS_INCARNATION is {claim.inc} now; it may never be lowered"
        )
    start = Start(claim.committed, note.before, note.intent)
    if start.next_offset > claim.log_end:
        raise LogChanged(
            f"{claim.partition} ends at offset {claim.log_end}, but was read up to {start.next_offset}. "
            f"{REMEDY}"
        )
    if claim.committed < claim.log_start:
        raise LogChanged(
            f"{claim.partition} begins at offset {claim.log_start}, but was read up to {claim.committed} "
            f"only: retention removed records that nobody had read. {REMEDY}"
        )
    return start


async def find_start(claim: Claim, written: Written, bus: Bus) -> Start:
    """Return where a partition is taken up. Raises LogChanged, and after 20 s what is down."""
    backoff = Backoff()
    deadline = time.monotonic() + ASSIGN_S
    while True:
        try:
            start = from_note(claim) or await same_log(claim, written, bus)
            if start is None or await _is_behind(start, claim, written):
                token = start.intent.token if start is not None and start.intent is not None else ""
                return await from_warehouse(claim, written, bus, token=token)
            return start
        except (StoreUnavailable, BusUnavailable):
            if time.monotonic() > deadline:
                raise
            await backoff.pause()


async def _is_behind(start: Start, claim: Claim, written: Written) -> bool:
    """Tell whether more is stored than the group committed.

    A range is stored before it is committed, so the commit went back: a late copy of an old one, offsets
    that were lost or reset. Raises StoreUnavailable.
    """
    tail = await written.tail(claim)
    end = max(tail.complete, -1 if tail.last_offset is None else tail.last_offset + 1)
    if end <= start.next_offset:
        return False
    log.error("%s: committed up to %d, but %d is stored", claim.partition, start.next_offset, end)
    return True


async def same_log(claim: Claim, written: Written, bus: Bus) -> Start | None:
    """Return the position under a raised incarnation, if this partition is still the log it was.

    Raising it for one partition that lost records must not store the others again. Raises LogChanged,
    BusUnavailable, StoreUnavailable.
    """
    if claim.committed is None or not claim.note:
        return None
    note = Note.parse(claim.note)
    if not await _is_same(note, claim, written, bus):
        return None
    if note.intent is not None:
        raise LogChanged(
            f"{claim.partition} is still the log of incarnation {note.inc}, with a range under way: start "
            f"the workers once more with PENSTOCK_BUS_INCARNATION={note.inc} and stop them in good order"
        )
    return Start(claim.committed, note.before)


async def _is_same(note: Note, claim: Claim, written: Written, bus: Bus) -> bool:
    """Tell whether the log has the record before the position, or without a note of it, the last row's."""
    last, last_id = (claim.committed or 0) - 1, ""
    if not note.before:  # a first range under way, or the first after `from_warehouse`
        tail = await written.tail(replace(claim, inc=note.inc))
        if tail.last_offset is None or not tail.last_id:
            return False
        last, last_id = tail.last_offset, tail.last_id
    if not claim.log_start <= last < claim.log_end:
        return False
    records = await bus.read(claim.partition, start=last, end=last + 1)
    if not records:
        return False
    value = records[0].value
    return stamps(value).id.lower() == last_id if last_id else digest(value) == note.before


async def from_warehouse(claim: Claim, written: Written, bus: Bus, *, token: str = "") -> Start:
    """Return where the stored rows end: for a group that never committed, or lost its offsets.

    The last range may have been under way, so it is declared open, to be verified; `token` as in `Intent`.
    Raises LogChanged, BusUnavailable, StoreUnavailable.
    """
    tail = await written.tail(claim)
    if tail.last_offset is None and tail.complete == 0:
        return Start(claim.log_start)
    end = max(tail.complete, (tail.last_offset or 0) + 1)
    if not claim.log_start <= end <= claim.log_end:
        raise LogChanged(
            f"{claim.partition} has the offsets {claim.log_start} to {claim.log_end}, but rows up to {end} "
            f"are stored, and not those after. {REMEDY}"
        )
    if tail.last_offset is not None and tail.last_id and tail.last_offset >= claim.log_start:
        records = await bus.read(claim.partition, start=tail.last_offset, end=tail.last_offset + 1)
        if not records or stamps(records[0].value).id.lower() != tail.last_id:
            raise LogChanged(
                f"{claim.partition}: the record at {tail.last_offset} is not the stored one. {REMEDY}"
            )
    position = max(tail.complete, claim.log_start)
    log.warning("%s: no committed offset; going on after the stored rows at %d", claim.partition, end)
    if end <= position:
        return Start(position)
    return Start(position, "", Intent(end, TIME_MS_MIN, TIME_MS_END, token))


async def check_log(start: Start, claim: Claim, bus: Bus) -> None:
    """Compare the record before the position with what its reader noted. Raises LogChanged."""
    at = start.position - 1
    if not start.before or at < claim.log_start:
        return
    records = await _read(bus, claim.partition, at, at + 1)
    if not records:
        return  # removed by retention in this very moment
    if digest(records[0].value) != start.before:
        raise LogChanged(
            f"{claim.partition}: the record at offset {at} is not the one that was read. {REMEDY}"
        )


async def read_range(bus: Bus, partition: Partition, start: int, end: int) -> list[Taken]:
    """Read [start, end) again, outside the group; waits for the bus. Raises LogChanged."""
    records: list[Taken] = []
    while (at := start + len(records)) < end:
        found = await _read(bus, partition, at, end)
        if not found or found[0].offset != at:
            raise LogChanged(f"{partition}: the log has no record {at} any more. {REMEDY}")
        records.extend(found)
    return records


async def _read(bus: Bus, partition: Partition, start: int, end: int) -> Sequence[Taken]:
    backoff = Backoff()
    while True:
        try:
            return await bus.read(partition, start=start, end=end)
        except BusUnavailable as error:
            log.warning("the bus does not answer, trying again: %s", error)
            await backoff.pause()
