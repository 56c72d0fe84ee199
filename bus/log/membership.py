"""What a member of a group does in the background: it renews its leases, gives up and takes partitions."""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress

from bus.base import BusUnavailable, Claim, LogChanged
from bus.holdings import Holdings
from bus.log import topic
from bus.log.database import Database
from bus.log.group import Group, Lease, Position, usable
from bus.log.topic import State
from bus.sharing import Moves, moves
from schemas.topics import Partition

TICK_S = 0.25
RENEW_S = 2.0

_log = logging.getLogger(__name__)


class Membership:
    """Keeps one member's share of `topic`. Leases are renewed also while the owner is busy in a callback."""

    def __init__(
        self, *, topic: str, member: str, inc: int, holdings: Holdings, log: Database, groups: Database
    ) -> None:
        self.group = Group(groups, topic, member)
        self._topic = topic
        self._member = member
        self._inc = inc
        self._holdings = holdings
        self._log = log
        self._groups = groups
        self._renew_at = 0.0
        self._lost: list[Claim] = []
        self._tending: asyncio.Task[None] | None = None
        self._moving: asyncio.Task[None] | None = None
        self._trouble = ""

    async def join(self) -> State:
        """Become a member; return the topic as it is now. Raises BusUnavailable."""
        state = await self._log.run(self._state)
        await self._renew()
        self._tending = asyncio.create_task(self._tend(range(len(state.extents))))
        return state

    async def leave(self) -> None:
        """Give everything up, calling `revoked` for what is held, and be no member any more."""
        if self._tending is None:
            return
        await _stop(self._tending, cancel=True)
        self._tending = None
        if self._moving is not None:
            # An owner that is giving up is let finish; one that prepares for work need not.
            await _stop(self._moving, cancel=self._holdings.assigning)
        held = self._holdings.claims()
        if held:
            await self._holdings.lose(held)
        try:
            await self._groups.run(self.group.leave)
        except BusUnavailable as error:
            self._complain(error)  # the leases run out by themselves

    async def _tend(self, partitions: range) -> None:
        while True:
            try:
                if time.monotonic() >= self._renew_at:
                    await self._renew()
            except BusUnavailable as error:
                self._complain(error)
            except Exception as error:  # noqa: BLE001 - a task's exception would be lost: it comes out of `take`
                self._holdings.fail(error)
            if (self._moving is None or self._moving.done()) and not self._holdings.failed:
                self._moving = asyncio.create_task(self._move(partitions))
            await asyncio.sleep(TICK_S)

    async def _renew(self) -> None:
        held = self._holdings.claims()
        kept = await self._groups.run(self.group.renew, _leases(held))
        self._renew_at = time.monotonic() + RENEW_S
        self._trouble = ""
        lost = [c for c in held if _lease(c) not in kept and c not in self._lost]
        if lost:
            _log.warning(
                "%s lost %d partitions of %s: it was away too long", self._member, len(lost), self._topic
            )
            self._holdings.stop(lost)
            self._lost.extend(lost)

    async def _move(self, partitions: range) -> None:
        try:
            todo = await self._moves(partitions)
            surplus = [c for c in self._holdings.claims() if c.partition.index in todo.surplus]
            going = [*self._lost, *(claim for claim in surplus if claim not in self._lost)]
            if going:
                await self._give_up(going)
            if todo.wanted:
                await self._take_up(todo.wanted)
        except BusUnavailable as error:
            self._complain(error)
        except Exception as error:  # noqa: BLE001 - likewise
            self._holdings.fail(error)

    async def _moves(self, partitions: range) -> Moves:
        view = await self._groups.run(self.group.view)
        if self._member not in view.members:
            return Moves()
        held = {claim.partition.index for claim in self._holdings.claims() if claim not in self._lost}
        # A lease of ours that we do not hold is from a claim that failed half-way: it is free to take.
        owners = {kp: owner for kp, owner in view.owners.items() if owner != self._member or kp in held}
        return moves(self._member, members=view.members, owners=owners, partitions=partitions)

    async def _give_up(self, claims: Sequence[Claim]) -> None:
        await self._holdings.lose(claims)
        self._lost = [claim for claim in self._lost if claim not in claims]
        await self._groups.run(self.group.release, _leases(claims))

    async def _take_up(self, wanted: Sequence[int]) -> None:
        leased = await self._groups.run(self.group.claim, wanted)
        # Read after the leases were had: from now on nobody else commits for these partitions.
        state = await self._log.run(self._state)
        claims = [self._claim(lease, position, state) for lease, position in leased.items()]
        if claims:
            await self._holdings.gain(claims)

    def _claim(self, lease: Lease, position: Position | None, state: State) -> Claim:
        if lease.kp not in state.extents:
            raise LogChanged(f"{self._topic} has {len(state.extents)} partitions now")
        position = usable(position, lease.kp, inc=self._inc, state=state)
        extent = state.extents[lease.kp]
        return Claim(
            partition=Partition(self._topic, lease.kp),
            inc=self._inc,
            epoch=lease.epoch,
            committed=None if position is None else position.offset,
            note="" if position is None else position.note,
            log_start=extent.log_start,
            log_end=extent.log_end,
        )

    def _state(self) -> State:
        with self._log.reading() as connection:
            return topic.state(connection)

    def _complain(self, error: BusUnavailable) -> None:
        if str(error) != self._trouble:  # once, not four times a second
            _log.warning("%s on %s: %s", self._member, self._topic, error)
        self._trouble = str(error)


def _lease(claim: Claim) -> Lease:
    return Lease(claim.partition.index, claim.epoch)


def _leases(claims: Sequence[Claim]) -> list[Lease]:
    return [_lease(claim) for claim in claims]


async def _stop(task: "asyncio.Task[None]", *, cancel: bool) -> None:
    if cancel:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await task
