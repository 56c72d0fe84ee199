"""workers/webhooks/notes.py: attempts that end together are noted together, and none before it is written."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from stores.base import StoreMisconfigured, StoreUnavailable
from stores.registry import Delivery, Ended
from workers import backoff
from workers.webhooks.notes import BATCH_MAX, Notes


class Registry:
    """Keeps the batches; waits for `go`, and raises what it is told to first."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.batches: list[list[str]] = []
        self.go = asyncio.Event()

    async def end_deliveries(self, ended: Sequence[Ended]) -> int:
        await self.go.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.batches.append([one.delivery.match_id for one in ended])
        return len(ended)


def ended(number: int) -> Ended:
    return Ended(
        Delivery(str(number), "f", 1, "waiting", 0, 0, 0, "c", 0, "", 0, None, "{}"), "delivered", 200
    )


@asynccontextmanager
async def running(registry: Registry) -> AsyncIterator[Notes]:
    notes = Notes(registry)  # type: ignore[arg-type]
    task = asyncio.create_task(notes.run())
    try:
        yield notes
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_those_that_come_meanwhile_share_a_write() -> None:
    registry = Registry()
    async with running(registry) as notes, asyncio.timeout(10):
        noting = [asyncio.create_task(notes.note(ended(0)))]
        await asyncio.sleep(0.01)
        noting += [asyncio.create_task(notes.note(ended(n))) for n in range(1, BATCH_MAX + 2)]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in noting)
        registry.go.set()
        await asyncio.gather(*noting)
    assert [len(batch) for batch in registry.batches] == [1, BATCH_MAX, 1]


async def test_a_registry_that_is_down_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_S", 0.01)
    registry = Registry(StoreUnavailable("down"), StoreUnavailable("down"))
    registry.go.set()
    async with running(registry) as notes, asyncio.timeout(10):
        await notes.note(ended(1))
    assert registry.batches == [["1"]]


async def test_what_no_retry_can_help_ends_the_worker() -> None:
    registry = Registry(StoreMisconfigured("no table"))
    registry.go.set()
    notes = Notes(registry)  # type: ignore[arg-type]
    noting = asyncio.create_task(notes.note(ended(1)))
    with pytest.raises(StoreMisconfigured):
        await asyncio.wait_for(notes.run(), 10)
    noting.cancel()
