"""What goes in one request, and what becomes of a batch whatever the brokers answer."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import (
    DuplicateSequenceNumber,
    KafkaConnectionError,
    MessageSizeTooLargeError,
    NodeNotReadyError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    NotLeaderForPartitionError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    RequestTimedOutError,
    UnknownError,
    UnknownTopicOrPartitionError,
)
from aiokafka.record.memory_records import MemoryRecords

from bus.base import Record
from bus.kafka import producer as module
from bus.kafka.lanes import Batch, Call, Lane, Piece
from bus.kafka.produce import Answer, ProduceBatches
from bus.kafka.producer import Producer
from tests.unit.bus_kafka.conftest import until

NOBODY = -1


class Request:
    """One request that reached a broker; `answer` is under the test's hand."""

    def __init__(self, node: int, sent: ProduceBatches) -> None:
        self.node = node
        self.data = {(topic, index): data for topic, rows in sent._topics.items() for index, data in rows}
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def says(self, *errors: Any) -> None:
        """Answer with an error, or None, for each of its batches."""
        codes = [error.errno if error else 0 for error in errors]
        self.answer.set_result(Answer(dict(zip(self.data, codes, strict=True))))


class Client:
    """Two brokers that take turns in leading, and the metadata about them."""

    def __init__(self) -> None:
        self.cluster = self
        self.leaders: dict[int, int | None] = {index: index % 2 + 1 for index in range(8)}
        self.leaders_next = self.leaders
        self.requests: list[Request] = []
        self.topics: set[str] = set()
        self.unauthorized_topics: set[str] = set()
        self.closed = False

    def leader_for_partition(self, place: tuple[str, int]) -> int | None:
        return self.leaders.get(place[1])

    async def send(self, node: int, request: ProduceBatches) -> Answer:
        self.requests.append(Request(node, request))
        return await self.requests[-1].answer

    def force_metadata_update(self) -> asyncio.Future[bool]:
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if not self.closed:
            self.leaders = self.leaders_next
            done.set_result(True)
        return done

    def add_topic(self, topic: str) -> None:
        self.topics.add(topic)

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(self.leaders) if topic == "t" and self.topics else None

    async def close(self) -> None:
        self.closed = True


class Partition(Lane):
    """A partition that keeps what became of its batches."""

    def __init__(self, index: int) -> None:
        super().__init__("t", index, lambda batch, error: self.fates.append(error))
        self.fates: list[Exception | None] = []

    def next(self, *values: bytes) -> Batch:
        piece = Piece(Call(asyncio.get_running_loop()), self.place.partition)
        piece.records = [Record(b"k", value) for value in values]
        piece.size_bytes = 1000
        self.add(piece)
        batch = self.next_batch()
        assert batch is not None
        return batch


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def producer(client: Client, monkeypatch: pytest.MonkeyPatch) -> Producer:
    monkeypatch.setattr(module, "AGAIN_S", 0.001)
    return Producer(client, 77, 5)


async def test_each_broker_gets_one_request_with_all_its_batches(client: Client, producer: Producer) -> None:
    lanes = [Partition(index) for index in range(8)]
    producer.send([lane.next(b"v%d" % lane.place.partition) for lane in lanes])
    await until(lambda: len(client.requests) == 2)
    assert [sorted(index for _, index in request.data) for request in client.requests] == [
        [0, 2, 4, 6],
        [1, 3, 5, 7],
    ]
    assert not any(producer.free(lane.place) for lane in lanes)
    client.requests[0].says(None, None, None, None)
    await until(lambda: lanes[6].fates)
    assert [lane.fates for lane in lanes] == [[None], []] * 4
    assert [producer.free(lane.place) for lane in lanes] == [True, False] * 4
    await producer.close()


async def test_batches_are_numbered_by_the_records_before_them(client: Client, producer: Producer) -> None:
    lane = Partition(0)
    for values in ([b"a", b"b"], [b"c"], [b"d"]):
        producer.send([lane.next(*values)])
        await until(lambda: client.requests and not client.requests[-1].answer.done())
        client.requests[-1].says(None)
        await until(lambda: len(lane.fates) == len(client.requests))
    batches = [MemoryRecords(bytes(request.data["t", 0])).next_batch() for request in client.requests]
    assert [(b.producer_id, b.producer_epoch, b.base_sequence) for b in batches if b] == [
        (77, 5, 0),
        (77, 5, 2),
        (77, 5, 3),
    ]


@pytest.mark.parametrize(
    "failure",
    [KafkaConnectionError(), RequestTimedOutError(), NodeNotReadyError()],
    ids=lambda failure: type(failure).__name__,
)
async def test_after_an_unknown_outcome_the_very_same_bytes_are_sent(
    client: Client, producer: Producer, failure: Exception
) -> None:
    lane = Partition(0)
    producer.send([lane.next(b"v")])
    for _ in range(3):
        await until(lambda: client.requests and not client.requests[-1].answer.done())
        assert lane.fates == []
        client.requests[-1].answer.set_exception(failure)
        await asyncio.sleep(0)
    await until(lambda: len(client.requests) == 4)
    client.requests[-1].says(None)
    await until(lambda: lane.fates)
    assert lane.fates == [None]
    assert len({bytes(request.data["t", 0]) for request in client.requests}) == 1


@pytest.mark.parametrize(
    "error",
    [
        NotLeaderForPartitionError,
        NotEnoughReplicasError,
        NotEnoughReplicasAfterAppendError,
        RequestTimedOutError,
    ],
)
async def test_only_the_batch_whose_error_may_pass_is_sent_again_to_whoever_leads_then(
    client: Client, producer: Producer, error: type[Exception]
) -> None:
    lanes = [Partition(index) for index in (0, 2)]
    producer.send([lane.next(b"v") for lane in lanes])
    await until(lambda: client.requests)
    client.leaders_next = client.leaders | {2: 2}
    client.requests[0].says(None, error)
    await until(lambda: len(client.requests) == 2)
    assert [lane.fates for lane in lanes] == [[None], []]
    assert client.requests[1].node == 2
    assert client.requests[1].data == {("t", 2): client.requests[0].data["t", 2]}
    client.requests[1].says(None)
    await until(lambda: lanes[1].fates)
    assert lanes[1].fates == [None]


@pytest.mark.parametrize("leader", [NOBODY, None])
async def test_without_a_leader_a_batch_waits_for_one(
    client: Client, producer: Producer, leader: int | None
) -> None:
    lane = Partition(0)
    client.leaders_next = client.leaders
    client.leaders = client.leaders | {0: leader}
    assert producer.free(lane.place)
    producer.send([lane.next(b"v")])
    await until(lambda: client.requests)
    assert client.requests[0].node == 1
    await producer.close()


async def test_a_broker_is_free_for_other_partitions_while_a_batch_is_to_be_sent_again(
    client: Client, producer: Producer
) -> None:
    freed: list[bool] = []
    lane, other = Partition(0), Partition(2)
    producer.freed = lambda: freed.append(producer.free(other.place))
    producer.send([lane.next(b"v")])
    await until(lambda: client.requests)
    client.requests[0].says(NotEnoughReplicasError)
    await until(lambda: freed)
    assert freed == [True]
    producer.send([other.next(b"v")])
    await until(lambda: len(client.requests) == 3)
    assert [list(request.data) for request in client.requests] == [[("t", 0)], [("t", 2)], [("t", 0)]]
    client.requests[1].says(None)
    await until(lambda: other.fates)
    assert (lane.fates, other.fates) == ([], [None])
    await producer.close()


@pytest.mark.parametrize("error", [MessageSizeTooLargeError, OutOfOrderSequenceNumber])
async def test_a_refused_batch_fails_and_the_others_do_not(
    client: Client, producer: Producer, error: type[Exception]
) -> None:
    lanes = [Partition(index) for index in (0, 2)]
    producer.send([lane.next(b"v") for lane in lanes])
    await until(lambda: client.requests)
    client.requests[0].says(error, None)
    await until(lambda: lanes[1].fates)
    assert isinstance(lanes[0].fates[0], error)
    assert lanes[1].fates == [None]
    assert len(client.requests) == 1


async def test_what_the_broker_had_before_is_durable(client: Client, producer: Producer) -> None:
    lane = Partition(0)
    producer.send([lane.next(b"v")])
    await until(lambda: client.requests)
    client.requests[0].says(DuplicateSequenceNumber)
    await until(lambda: lane.fates)
    assert lane.fates == [None]


async def test_a_batch_that_the_answer_leaves_out_is_not_durable(client: Client, producer: Producer) -> None:
    lane = Partition(0)
    producer.send([lane.next(b"v")])
    await until(lambda: client.requests)
    client.requests[0].answer.set_result(Answer({("t", 1): 0}))
    await until(lambda: lane.fates)
    assert isinstance(lane.fates[0], UnknownError)


async def test_an_error_that_nobody_thought_of_is_told_and_frees_the_broker(
    client: Client, producer: Producer
) -> None:
    lane = Partition(0)
    producer.send([lane.next(b"v")])
    await until(lambda: client.requests)
    client.requests[0].answer.set_exception(ZeroDivisionError("a bug"))
    await until(lambda: lane.fates)
    assert isinstance(lane.fates[0], ZeroDivisionError)
    assert producer.free(lane.place)


async def test_an_ended_producer_sends_and_says_nothing_more(client: Client, producer: Producer) -> None:
    lanes = [Partition(index) for index in (0, 1)]
    producer.send([lane.next(b"v") for lane in lanes])
    await until(lambda: len(client.requests) == 2)
    client.requests[0].answer.set_exception(KafkaConnectionError())
    await asyncio.sleep(0)
    await producer.close()
    await asyncio.sleep(0.01)
    assert client.closed
    assert len(client.requests) == 2
    assert [lane.fates for lane in lanes] == [[], []]
    assert producer._tasks == set()


async def test_the_partitions_of_a_topic_are_asked_for_until_the_producer_ends(producer: Producer) -> None:
    assert await producer.partitions_for("t") == set(range(8))
    asking = asyncio.create_task(producer.partitions_for("unknown"))
    await asyncio.sleep(0.01)
    await producer.close()
    with pytest.raises(ProducerClosed):
        await asking


async def test_a_topic_that_nobody_knows_is_an_error(
    producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REQUEST_TIMEOUT_MS", 5)
    with pytest.raises(UnknownTopicOrPartitionError):
        await producer.partitions_for("unknown")
