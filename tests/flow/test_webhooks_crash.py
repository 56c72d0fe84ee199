"""The worker `webhooks` is killed while it works: nothing is lost, only what was not noted is repeated."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow.test_filters import ORDERS, order, send
from tests.flow.webhooks import add, start, until
from tests.flow.whole import Whole, open_whole
from tests.flow.worker_child import ended
from tests.unit.workers.receiver import Receiver, receiving
from workers.webhooks.endpoints import ROOM

NUMBER = 12


@pytest.fixture
async def whole(clickhouse: EmbeddedClickHouse, tmp_path: Path) -> AsyncIterator[Whole]:
    async with open_whole(clickhouse, "flow_webhooks_crash", tmp_path) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.mark.parametrize(
    ("crash_at", "repeated_max"),
    [
        ("after_deliveries", 0),  # entered, not committed: the ids are known
        ("after_answer", ROOM),  # the one gap: answered, and killed before that was noted
        ("after_answer:3", ROOM),
    ],
)
async def test_killed_at_a_point(whole: Whole, receiver: Receiver, crash_at: str, repeated_max: int) -> None:
    use = replace(whole.settings, webhook_private_addresses=True)
    await add(whole, ORDERS, receiver.url)
    await send(whole, *(order(60 + n) for n in range(NUMBER)))
    assert await ended(start(use, crash_at=crash_at)) == -signal.SIGKILL
    process = start(use)
    try:
        await until(whole.use.registry, NUMBER, "delivered")
        process.terminate()
        assert await ended(process) == 0, (Path(use.home) / "webhooks.log").read_text()
    finally:
        process.kill()
    assert len(set(receiver.ids)) == NUMBER
    assert len(receiver.ids) <= NUMBER + repeated_max


async def test_stopped_while_it_sends_it_finishes(whole: Whole, receiver: Receiver) -> None:
    """In good order nothing is sent twice."""
    use = replace(whole.settings, webhook_private_addresses=True)
    receiver.answers = [b""]
    await add(whole, ORDERS, receiver.url)
    await send(whole, order(60))
    process = start(use)
    try:
        await receiver.until(1)
        process.terminate()
        await asyncio.sleep(0.3)
        assert process.exitcode is None
        receiver.released.set()  # closes: an attempt that failed
        assert await ended(process) == 0, (Path(use.home) / "webhooks.log").read_text()
    finally:
        process.kill()
    [waits] = await whole.use.registry.list_deliveries(1)
    assert (waits.state, waits.attempts, waits.claim) == ("waiting", 1, "")
