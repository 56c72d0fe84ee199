"""Ranges that go to the warehouse together: at each step one statement for all of them.

What a statement costs the engine hardly depends on its rows (docs/decisions/0159). Every range keeps its own
task and its own intent; one whose step had no clean end leaves, and goes on alone (workers/sink.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from uuid import uuid4

from bus.base import Fenced
from schemas.topics import Partition
from workers.inserts import Inserts, Part, still_owned
from workers.ranges import Range
from workers.recovery import Written

BYTES_MAX = 16 * 2**20
"""Rows in the block of a bundle: beyond that a block costs memory and saves nothing."""

Send = Callable[[Sequence[Part]], Awaitable[set[Partition]]]
"""Takes a step for these parts; returns the partitions that have another owner."""


class Bundle:
    """Ranges with the same `token`, one a partition. Each takes every step in the same order, or leaves."""

    def __init__(self, token: str, members: Iterable[Partition], inserts: Inserts, written: Written) -> None:
        assert token, "a token that other ranges have too would lose their rows"
        self._token = token
        self._members = set(members)
        self._inserts = inserts
        self._written = written
        self._step = ""
        self._send: Send = _nothing
        self._arrived: dict[Partition, tuple[Part, asyncio.Future[None]]] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def insert(self, table: str, part: Part) -> None:
        """Return when the parts of all are stored. Raises as `Inserts.insert`, and Fenced for this one."""
        await self._arrive(table, part, lambda parts: self._inserts.insert(table, parts, self._token))

    async def apply(self, part: Part) -> None:
        """Return when the stored patches of all are applied. Raises StoreUnavailable, and Fenced."""
        await self._arrive("apply", part, self._apply)

    def leave(self, partition: Partition) -> None:
        """Wait for this range no longer."""
        self._members.discard(partition)
        self._arrived.pop(partition, None)
        self._set_out()

    async def _apply(self, parts: Sequence[Part]) -> set[Partition]:
        owned = await still_owned(parts)
        if ranges := [part.range_ for part in owned if part.rows]:
            await self._written.apply_patches(ranges)
        return {part.partition for part in parts} - {part.partition for part in owned}

    async def _arrive(self, step: str, part: Part, send: Send) -> None:
        assert not self._arrived or step == self._step, f"{step} and {self._step} at a time"
        self._step, self._send = step, send
        done = asyncio.get_running_loop().create_future()
        self._arrived[part.partition] = part, done
        self._set_out()
        await done

    def _set_out(self) -> None:
        if self._arrived and len(self._arrived) == len(self._members):
            arrived, self._arrived = self._arrived, {}
            # A task of its own: a range that is lost must not end the statement of the others.
            task = asyncio.create_task(self._take_step(self._send, list(arrived.values())))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _take_step(self, send: Send, arrived: Sequence[tuple[Part, asyncio.Future[None]]]) -> None:
        try:
            lost = await send([part for part, _ in arrived])
        except Exception as error:  # noqa: BLE001 - whatever it is, it is each range's
            for _, done in arrived:
                if not done.done():
                    done.set_exception(error)
            return
        for part, done in arrived:
            if done.done():
                continue
            if part.partition in lost:
                done.set_exception(Fenced(f"{part.partition} has another owner"))
            else:
                done.set_result(None)


async def _nothing(_: Sequence[Part]) -> set[Partition]:
    return set()


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
