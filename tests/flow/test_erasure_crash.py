"""An erasure is killed at every point of its work and done again: one outcome a record, and all rows go."""

import asyncio
import signal

import pytest

from console.erasure.crash import POINTS
from stores.base import StoreUnavailable
from stores.registry import LeaseLost
from tests.flow import erasing
from tests.flow.erasing import (
    ANN,
    ANNS,
    JOANN,
    eraser_of,
    erasure,
    event,
    forget_log,
    naming,
    request,
    send,
    start,
)
from tests.flow.whole import Whole

EVENTS = 7

SECOND_STEP = ("before_certificate",)
"""What is reached once the log has forgotten."""

whole = erasing.whole


async def step(whole: Whole) -> None:
    """Take one step."""
    assert await eraser_of(whole).advance_all() == 0


async def killed(whole: Whole, point: str) -> bool:
    """Take one step in a process of its own; tell whether it reached the point, and so was killed."""
    process = start(whole.settings, crash_at=point)
    await asyncio.to_thread(process.join)
    assert process.exitcode in (0, -signal.SIGKILL)
    await asyncio.sleep(0.01)  # its lease lasts 1 ms
    return process.exitcode != 0


async def the_outcomes(whole: Whole) -> list[tuple[str, int, int]]:
    rows = await whole.query("SELECT topic, kp, ko FROM outcomes WHERE outcome = 'erased'")
    return [(row["topic"], row["kp"], row["ko"]) for row in rows]


@pytest.mark.parametrize("point", POINTS)
async def test_killed_and_done_again(whole: Whole, point: str) -> None:
    await send(whole, *(event(ANN, value=n + 1) for n in range(EVENTS)), event(JOANN))
    await send(whole, {"eventName": "", "customer": ANN})
    await whole.settle()
    erasure_id = await request(whole, "1", "id", "cust-ann")
    if point in SECOND_STEP:
        await step(whole)
        forget_log(whole)
    assert await killed(whole, point)
    await whole.books()
    await killed(whole, point)  # once more, where it gets there again
    await whole.books()
    for _ in range(2):
        await step(whole)
        forget_log(whole)
    certificate = await erasure(whole, erasure_id)
    assert certificate.state == "done"
    assert certificate.progress.erased == {"events.raw": EVENTS, "events.rejected": 1}
    outcomes = await the_outcomes(whole)
    assert len(outcomes) == len(set(outcomes)) == EVENTS + 1
    assert await naming(whole, ANNS) == []
    await whole.books()


async def test_two_processes_share_the_work(whole: Whole) -> None:
    await send(whole, *(event(ANN, value=n + 1) for n in range(EVENTS)))
    await whole.settle()
    erasure_id = await request(whole, "1", "id", "cust-ann")
    first, second = eraser_of(whole), eraser_of(whole)
    await asyncio.gather(first.advance(erasure_id), second.advance(erasure_id))
    assert len(await the_outcomes(whole)) == EVENTS
    registry = whole.use.registry
    assert await registry.lease_erasure(erasure_id, "one", 60_000) is not None
    assert await registry.lease_erasure(erasure_id, "other", 60_000) is None
    with pytest.raises(LeaseLost):
        await registry.finish_erasure(erasure_id, "other", (await erasure(whole, erasure_id)).progress)
    await whole.books()


async def test_an_outcome_that_stands_twice_is_mended(whole: Whole) -> None:
    await send(whole, event(ANN), event(ANN))
    await whole.settle()
    erasure_id = await request(whole, "1", "id", "cust-ann")
    await eraser_of(whole, settle_s=3600).advance(erasure_id)
    await whole.use.warehouse.execute("INSERT INTO outcomes SELECT * FROM outcomes WHERE ko = 0")
    assert len(await the_outcomes(whole)) == 3
    await eraser_of(whole).advance(erasure_id)
    assert len(await the_outcomes(whole)) == 2
    await whole.books()


async def test_a_problem_is_told_and_goes_away(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    await send(whole, event(ANN))
    await whole.settle()
    await request(whole, "1", "id", "cust-ann")
    kind = type(whole.use.warehouse)
    execute = kind.execute

    async def refuse(self: object, sql: str, params: object = None) -> None:
        if sql.startswith("ALTER TABLE events DELETE"):
            raise StoreUnavailable("the disk is full")
        await execute(self, sql, params)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "execute", refuse)
    assert await eraser_of(whole).advance_all() == 1
    _, [told], _ = await whole.penstock("person", "erasures", "1")
    assert (told["state"], "the disk is full" in told["problem"]) == ("erasing", True)
    await whole.books()
    monkeypatch.undo()
    assert await eraser_of(whole).advance_all() == 0
    _, [told], _ = await whole.penstock("person", "erasures", "1")
    assert (told["state"], "problem" in told) == ("waiting_for_log", False)
    assert await whole.query("SELECT 1 FROM events") == []
