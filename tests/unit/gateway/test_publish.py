"""Records reach the bus or the caller hears of it; a caller that goes away changes nothing."""

import asyncio
from collections.abc import Sequence

import pytest

from bus.base import BusUnavailable, Record
from gateway.errors import RequestRefused
from gateway.metrics import Metrics
from gateway.publish import Publisher
from schemas.topics import RAW, REJECTED

ONE = [Record(b"k", b"x" * 99)]


class SlowBus:
    """Takes records when it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.go.set()
        self.fails: set[str] = set()
        self.taken: list[str] = []
        self.deadlines: list[float] = []

    async def publish(self, topic: str, records: Sequence[Record], *, deadline_s: float = 5.0) -> None:
        self.deadlines.append(deadline_s)
        await self.go.wait()
        if topic in self.fails:
            raise BusUnavailable("down")
        self.taken.append(topic)


@pytest.fixture
def bus() -> SlowBus:
    return SlowBus()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def publisher(bus: SlowBus, metrics: Metrics) -> Publisher:
    return Publisher(bus, 250, metrics)  # type: ignore[arg-type]


def in_flight(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("penstock_gateway_publish_bytes_in_flight")


async def test_accepted_and_rejected_go_to_their_topics(publisher: Publisher, bus: SlowBus) -> None:
    await publisher.publish(ONE, ONE, deadline_s=3)
    assert sorted(bus.taken) == [RAW, REJECTED]
    assert bus.deadlines == [3, 3]


async def test_what_is_empty_is_not_published(publisher: Publisher, bus: SlowBus) -> None:
    await publisher.publish([], [], deadline_s=3)
    await publisher.publish([], ONE, deadline_s=3)
    assert bus.taken == [REJECTED]


@pytest.mark.parametrize("failing", [{RAW}, {REJECTED}, {RAW, REJECTED}])
async def test_one_topic_that_fails_fails_the_request(
    publisher: Publisher, bus: SlowBus, metrics: Metrics, failing: set[str]
) -> None:
    bus.fails = failing
    with pytest.raises(RequestRefused) as caught:
        await publisher.publish(ONE, ONE, deadline_s=3)
    assert (caught.value.problem.status, caught.value.problem.retry_after_s) == (503, 2)
    assert set(bus.taken) == {RAW, REJECTED} - failing
    assert in_flight(metrics) == 0


async def test_there_is_a_budget_of_what_is_on_its_way(
    publisher: Publisher, bus: SlowBus, metrics: Metrics
) -> None:
    bus.go.clear()
    under_way = [asyncio.create_task(publisher.publish(ONE, [], deadline_s=3)) for _ in range(2)]
    await asyncio.sleep(0.01)
    assert in_flight(metrics) == 200
    with pytest.raises(RequestRefused, match="unavailable"):
        await publisher.publish(ONE, [], deadline_s=3)
    bus.go.set()
    await asyncio.gather(*under_way)
    await publisher.publish(ONE, [], deadline_s=3)
    assert in_flight(metrics) == 0


async def test_a_request_above_the_whole_budget_is_taken_alone(publisher: Publisher, bus: SlowBus) -> None:
    await publisher.publish(ONE * 10, [], deadline_s=3)
    assert bus.taken == [RAW]


async def test_a_caller_that_goes_away_cancels_nothing(
    publisher: Publisher, bus: SlowBus, metrics: Metrics
) -> None:
    bus.go.clear()
    caller = asyncio.create_task(publisher.publish(ONE, ONE, deadline_s=3))
    await asyncio.sleep(0.01)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert in_flight(metrics) == 200
    bus.go.set()
    await publisher.finish()
    assert sorted(bus.taken) == [RAW, REJECTED]
    assert in_flight(metrics) == 0
