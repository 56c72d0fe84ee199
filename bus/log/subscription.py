"""A member of a consumer group on the embedded log, as bus.base.Subscription describes it."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence

from msgspec import Struct

from bus.base import Batch, BusUnavailable, Claim, Fenced, LogChanged, Mark, Owner, Taken
from bus.holdings import Held, Holdings, check_position
from bus.limits import refuse_long_note
from bus.log import topic
from bus.log.database import Database
from bus.log.group import Commit, Lease, Position
from bus.log.membership import Membership
from bus.log.topic import Extent, State
from schemas.topics import Partition

POLL_S = 0.025
"""How soon a new record is seen. Asking costs one small read in another thread: 2 % of a core."""

_log = logging.getLogger(__name__)


class _Rest(Struct):
    """Records of a block that was unpacked but not taken whole: they start at `start`."""

    start: int
    records: deque[Taken]


class LogSubscription:
    """Reads with the topic's connection; the group's file has a thread of its own for leases and commits."""

    def __init__(
        self, name: str, *, member: str, inc: int, owner: Owner, log: Database, groups: Database
    ) -> None:
        self._inc = inc
        self._log = log
        self._groups = groups
        self._holdings = Holdings(owner)
        self._membership = Membership(
            topic=name, member=member, inc=inc, holdings=self._holdings, log=log, groups=groups
        )
        self._log_id = ""
        self._rests: dict[Partition, _Rest] = {}
        self._closed = False

    async def join(self) -> None:
        """Join the group. Raises BusUnavailable."""
        try:
            self._log_id = (await self._membership.join()).log_id
        except BusUnavailable:
            await self._groups.end()
            raise

    async def take(self, *, records_max: int, bytes_max: int, wait_ms: int) -> Sequence[Batch]:
        """See Subscription. While the file cannot be read nothing comes."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + wait_ms / 1000
        while True:
            batches = await self._take_now(records_max, bytes_max)
            remaining_s = give_up_at - loop.time()
            if batches or remaining_s <= 0:
                return batches
            await asyncio.sleep(min(POLL_S, remaining_s))

    async def _take_now(self, records_max: int, bytes_max: int) -> list[Batch]:
        due = self._holdings.due()
        if not due:
            return []
        try:
            read = await self._log.run(
                self._read, [(h, h.position or 0) for h in due], records_max, bytes_max
            )
        except BusUnavailable as error:
            _log.warning("nothing can be taken: %s", error)
            await asyncio.sleep(POLL_S)
            return []
        batches = []
        for held, start, records in read:
            # What was given up or moved while we read is not handed out.
            if records and held.position == start:
                held.position = start + len(records)
                batches.append(Batch(held.claim, records))
        return batches

    def _read(
        self, due: Sequence[tuple[Held, int]], records_max: int, bytes_max: int
    ) -> list[tuple[Held, int, list[Taken]]]:
        with self._log.reading() as connection:
            extents = self._extents(topic.state(connection))
            read = []
            for held, start in due:
                extent = extents[held.claim.partition.index]
                check_position(held.claim, start, extent.log_start, extent.log_end)
                rest = self._rests.pop(held.claim.partition, None)
                if rest is None or rest.start != start:
                    rest = _Rest(start, deque())
                if not rest.records and start < extent.log_end:
                    kp = held.claim.partition.index
                    rest.records.extend(
                        topic.read(connection, kp, start=start, records_max=records_max, bytes_max=bytes_max)
                    )
                records = _cut(rest, records_max, bytes_max)
                if rest.records:
                    self._rests[held.claim.partition] = rest
                read.append((held, start, records))
            return read

    def _extents(self, state: State) -> Mapping[int, Extent]:
        if state.log_id != self._log_id:
            raise LogChanged("the log was made anew while it was read")
        return state.extents

    async def commit(self, marks: Sequence[Mark]) -> None:
        """See Subscription."""
        for mark in marks:
            refuse_long_note(mark.note)
        commits = [
            Commit(
                Lease(mark.claim.partition.index, mark.claim.epoch),
                Position(self._inc, self._log_id, mark.offset, mark.note),
            )
            for mark in marks
        ]
        if self._closed:
            raise Fenced("this member has left the group")
        if commits:
            await self._groups.run(self._membership.group.commit, commits)

    def pause(self, claims: Sequence[Claim]) -> None:
        """See Subscription."""
        self._holdings.pause(claims, paused=True)

    def resume(self, claims: Sequence[Claim]) -> None:
        """See Subscription."""
        self._holdings.pause(claims, paused=False)

    async def lag(self) -> Mapping[Partition, int]:
        """See Subscription. Raises BusUnavailable, LogChanged."""
        extents = await self._log.run(self._extents_now)
        return {
            held.claim.partition: extents[held.claim.partition.index].log_end - (held.position or 0)
            for held in self._holdings.started()
        }

    def _extents_now(self) -> Mapping[int, Extent]:
        with self._log.reading() as connection:
            return self._extents(topic.state(connection))

    async def close(self) -> None:
        """See Subscription. Calls `revoked` for what is held; commits are refused from then on."""
        if self._closed:
            return
        self._closed = True
        await self._membership.leave()
        await self._groups.end()


def _cut(rest: _Rest, records_max: int, bytes_max: int) -> list[Taken]:
    """Take from the front: at least one record if there is one."""
    records: list[Taken] = []
    room_bytes = bytes_max
    while rest.records and len(records) < records_max:
        room_bytes -= len(rest.records[0].key) + len(rest.records[0].value)
        if records and room_bytes < 0:
            break
        records.append(rest.records.popleft())
    rest.start += len(records)
    return records
