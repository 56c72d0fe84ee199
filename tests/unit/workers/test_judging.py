"""A store that fails under a stage is not the events' fault: nothing is decided, and nobody dies."""

from collections.abc import Sequence

import pytest

from bus.base import Batch, Taken
from schemas.event import Event
from stores.base import QueryRefused, StoreError, StoreMisconfigured, StoreUnavailable
from tests.unit.workers.running import System, claim, envelope, event_id, events_only
from workers.judging import Judged, decode, pass_through
from workers.pipelines.events import read_event
from workers.stage import KEEP, Unavailable, Verdict

STOPS = [(StoreMisconfigured, StoreMisconfigured), (StoreUnavailable, Unavailable)]
"""What a store raises, and what leaves the judgement."""


class Failing:
    """A stage that raises what it is given, call by call, and then keeps all."""

    name = "failing"

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
        if self.errors:
            raise self.errors.pop(0)
        return [KEEP] * len(events)


def judged(count: int) -> Judged[Event]:
    batch = Batch(claim(), [Taken(n, b"1|v", envelope(n)) for n in range(count)])
    return decode(batch, read_event, {})


@pytest.mark.parametrize(("raised", "leaves"), STOPS)
@pytest.mark.parametrize("count", [1, 5])
async def test_a_store_that_fails_decides_nothing(
    raised: type[StoreError], leaves: type[Exception], count: int
) -> None:
    items = judged(count)
    with pytest.raises(leaves, match="the password is being changed"):
        await pass_through(Failing(raised("the password is being changed")), items)
    assert (items.offsets, items.dead) == (list(range(count)), {})


@pytest.mark.parametrize(("raised", "leaves"), STOPS)
@pytest.mark.parametrize("faults", [1, 3])
async def test_nor_while_the_event_at_fault_is_being_looked_for(
    raised: type[StoreError], leaves: type[Exception], faults: int
) -> None:
    # Of four events: one fault leads to a half of them, three to the first one's second chance.
    items = judged(4)
    with pytest.raises(leaves):
        await pass_through(Failing(*[RuntimeError()] * faults, raised("away")), items)
    assert (items.offsets, items.dead) == ([0, 1, 2, 3], {})


async def test_a_statement_that_an_event_spoils_is_the_events_fault() -> None:
    items = judged(2)
    await pass_through(Failing(*[QueryRefused("no such number")] * 3), items)
    assert (items.offsets, list(items.dead)) == ([1], [0])
    assert items.dead[0].dead.code == "stage_error"


async def test_a_store_that_is_misconfigured_stops_the_worker_and_buries_nobody() -> None:
    system = System()
    await system.publish(*range(20))
    for _ in range(2):
        with pytest.raises(StoreMisconfigured):
            await system.drain(events_only([Failing(*[StoreMisconfigured("516")] * 1000)]))
    assert (system.dead(), system.warehouse.ids()) == ([], [])
    await system.drain()
    assert sorted(system.warehouse.ids()) == [event_id(n) for n in range(20)]
    system.check_books()


async def test_a_store_that_is_away_is_waited_for() -> None:
    system = System()
    await system.publish(*range(20))
    await system.drain(events_only([Failing(*[StoreUnavailable("away")] * 5)]))
    assert (system.dead(), len(system.warehouse.ids())) == ([], 20)
    system.check_books()
