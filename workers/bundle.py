"""Ranges that go to the warehouse together: at each step one statement for all of them.

What a statement costs the engine hardly depends on its rows (docs/decisions/0159). Every range keeps its own
task and its own intent. They share a token, and the next owner of one of them uses it too: so an insert is
clean only if all are still here when it is acknowledged. Otherwise each goes on alone (workers/sink.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from uuid import uuid4

from bus.base import Fenced
from schemas.topics import Partition
from stores.base import StoreUnavailable
from workers.inserts import Inserts, Part, not_owned
from workers.ranges import Range
from workers.recovery import Written

BYTES_MAX = 16 * 2**20
"""Rows in the block of a bundle: beyond that a block costs memory and saves nothing."""

Send = Callable[[Sequence[Part]], Awaitable[set[Partition]]]
"""Takes a step for these parts; if some partitions have another owner, it takes none and returns them."""


class Bundle:
    """Ranges with the same `token`, one a partition. Each takes every step in the same order.

    Once one has left, or has another owner, no step is taken any more: StoreUnavailable for the others.
    """

    def __init__(self, token: str, members: Iterable[Partition], inserts: Inserts, written: Written) -> None:
        assert token, "a token that other ranges have too would lose their rows"
        self._token = token
        self._members = set(members)
        self._inserts = inserts
        self._written = written
        self._broken = False
        self._step = ""
        self._arrived: dict[Partition, tuple[Part, asyncio.Future[None]]] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def insert(self, table: str, part: Part) -> None:
        """Return when the parts of all are stored. Raises as `Inserts.insert`, and Fenced for this one."""
        await self._arrive(table, part, lambda parts: self._inserts.insert(table, parts, self._token))

    async def apply(self, part: Part) -> None:
        """Return when the stored patches of all are applied. Raises StoreUnavailable, and Fenced."""
        await self._arrive("apply", part, self._apply)

    def leave(self, partition: Partition) -> None:
        """Break the bundle, unless all its steps are taken: who waits, or is under way, goes on alone."""
        if partition in self._members:
            self._members.discard(partition)
            self._broken = True
            for _, done in self._arrived.values():
                _fail(done, _broken())
            self._arrived.clear()

    async def _apply(self, parts: Sequence[Part]) -> set[Partition]:
        lost = await not_owned(parts)
        if not lost and (ranges := [part.range_ for part in parts if part.rows]):
            await self._written.apply_patches(ranges)
        return lost

    async def _arrive(self, step: str, part: Part, send: Send) -> None:
        if self._broken:
            raise _broken()
        assert not self._arrived or step == self._step, f"{step} and {self._step} at a time"
        self._step = step
        done = asyncio.get_running_loop().create_future()
        self._arrived[part.partition] = part, done
        if len(self._arrived) == len(self._members):
            arrived, self._arrived = self._arrived, {}
            # A task of its own: a range that is lost must not end the statement of the others.
            task = asyncio.create_task(self._take_step(send, list(arrived.values())))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        await done

    async def _take_step(self, send: Send, arrived: Sequence[tuple[Part, asyncio.Future[None]]]) -> None:
        parts = [part for part, _ in arrived]
        try:
            lost = await send(parts) or await not_owned(parts)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is each range's
            for _, done in arrived:
                _fail(done, error)
            return
        for part, done in arrived:
            if part.partition in lost:
                _fail(done, Fenced(f"{part.partition} has another owner"))
            elif lost or self._broken:
                _fail(done, _broken())
            elif not done.done():
                done.set_result(None)


def _fail(done: asyncio.Future[None], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)


def _broken() -> StoreUnavailable:
    return StoreUnavailable("a range of the same block has another owner: its rows may have taken the token")


def bundle_up(ranges: Iterable[Range]) -> None:
    """Give ranges the tokens they share, as many one as fit into a block.

    What a former owner declared has its token already, and goes alone.
    """
    token, room = "", 0
    for range_ in ranges:
        if range_.resumed:
            continue
        size_bytes = sum(map(len, range_.stored.values()))
        if not token or size_bytes > room:
            token, room = f"{range_.claim.partition.topic}/{uuid4().hex}", BYTES_MAX
        range_.token = token
        room -= size_bytes


def bundles(ranges: Iterable[Range], inserts: Inserts, written: Written) -> dict[str, Bundle]:
    """Return a bundle for each token that ranges share."""
    members: dict[str, list[Partition]] = {}
    for range_ in ranges:
        if not range_.resumed:
            members.setdefault(range_.token, []).append(range_.claim.partition)
    return {token: Bundle(token, partitions, inserts, written) for token, partitions in members.items()}
