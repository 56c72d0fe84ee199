"""An idempotent producer: the batches of one moment go to each broker in one request (docs/decisions/0157).

A batch is numbered, so a broker takes it once however often it is sent. Where an error may pass, or where
nobody knows what became of the request, it is sent again with the same number until it is taken, is refused,
or the producer is ended.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    DuplicateSequenceNumber,
    KafkaError,
    ProducerClosed,
    TopicAuthorizationFailedError,
    UnknownError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.transaction import InitProducerIdRequest

from bus.kafka.connection import arguments, hang_up
from bus.kafka.keeper import Connect
from bus.kafka.lanes import Batch
from bus.kafka.produce import Place, ProduceBatches
from schemas.settings import Settings

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_MS = 5_000
REPLICAS_TIMEOUT_MS = 3_000
"""A broker waits so long for its replicas: less than we for it, so that it tells who is well."""
CONNECT_S = 10.0
AGAIN_S = 0.1
_NO_TRANSACTION_TIMEOUT_MS = 2**31 - 1


class Producer:
    """One producer id, and the connections it sends by. `freed` is called after each answer."""

    def __init__(self, client: AIOKafkaClient, producer_id: int, epoch: int) -> None:
        self.freed: Callable[[], None] = lambda: None
        self._client = client
        self._producer_id = producer_id
        self._epoch = epoch
        self._requests: Counter[int] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def free(self, place: Place) -> bool:
        """Tell whether a batch would go at once: the broker that leads the partition has no request."""
        return not self._requests[self._client.cluster.leader_for_partition(place)]

    def send(self, batches: Sequence[Batch]) -> None:
        """Send batches, and settle each when its fate is known. No other for their partitions may be open."""
        leader_of = self._client.cluster.leader_for_partition
        by_node: dict[int, list[Batch]] = {}
        for batch in batches:
            by_node.setdefault(leader_of(batch.place), []).append(batch)
        for node, some in by_node.items():
            if node is None or node < 0:
                self._begin(self._send_later(some))
            else:
                self._requests[node] += 1
                self._begin(self._request(node, some))

    async def partitions_for(self, topic: str) -> set[int]:
        """Return the numbers of a topic's partitions. Raises KafkaError; ProducerClosed in the end."""
        client = self._client
        client.add_topic(topic)
        until = time.monotonic() + REQUEST_TIMEOUT_MS / 1000
        wait_s = 0.0
        while not (found := client.cluster.partitions_for_topic(topic)):
            if self._closed:
                raise ProducerClosed
            if topic in client.cluster.unauthorized_topics:
                raise TopicAuthorizationFailedError(topic)
            if time.monotonic() > until:
                raise UnknownTopicOrPartitionError(topic)
            await asyncio.sleep(wait_s)
            # A client that is closed never says that it has done so.
            await asyncio.wait([client.force_metadata_update()], timeout=AGAIN_S)
            wait_s = AGAIN_S
        return set(found)

    async def close(self) -> None:
        """End now. Batches that are not settled never will be."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await hang_up(self._client)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _request(self, node: int, batches: Sequence[Batch]) -> None:
        codes: dict[Place, int] = {}
        failed: Exception | None = None
        try:
            built = [(batch.place, batch.build(self._producer_id, self._epoch)) for batch in batches]
            codes = (await self._client.send(node, ProduceBatches(built, REPLICAS_TIMEOUT_MS))).codes
        except Exception as error:  # noqa: BLE001 - whatever it is, each batch is told
            failed = error
        finally:
            self._requests[node] -= 1
        again: list[Batch] = []
        for batch in batches:
            fate = failed or _error(codes.get(batch.place, UnknownError.errno))
            if isinstance(fate, KafkaError) and fate.retriable:
                log.warning("a batch is sent to Kafka again, after %r", fate)
                again.append(batch)
            else:
                batch.settle(fate)
        if again:
            self._begin(self._send_later(again))
        self.freed()  # also where all is sent again: other partitions may be well

    async def _send_later(self, batches: Sequence[Batch]) -> None:
        """Ask who leads the partitions now, and send again."""
        await asyncio.sleep(AGAIN_S)
        for batch in batches:
            self._client.add_topic(batch.place.topic)
        await self._client.force_metadata_update()
        self.send(batches)
        self.freed()  # another broker may lead now what waited for a frozen one


def connector(settings: Settings) -> Connect:
    """Return what connects a producer; acknowledged is what every replica in sync has."""

    async def connect() -> Producer:
        client = AIOKafkaClient(**arguments(settings), request_timeout_ms=REQUEST_TIMEOUT_MS)
        try:
            async with asyncio.timeout(CONNECT_S):
                await client.bootstrap()
                return Producer(client, *await _identity(client))
        except BaseException:
            await hang_up(client)
            raise

    return connect


async def discard(producer: Producer) -> None:
    """End a producer."""
    await producer.close()


async def _identity(client: AIOKafkaClient) -> tuple[int, int]:
    """Return a new producer id and its epoch. Raises KafkaError."""
    while True:
        request = InitProducerIdRequest(None, _NO_TRANSACTION_TIMEOUT_MS)
        response = await client.send(client.get_random_node(), request)
        error = _error(response.error_code)
        if error is None:
            return response.producer_id, response.producer_epoch
        if not error.retriable:
            raise error
        await asyncio.sleep(AGAIN_S)


def _error(code: int) -> KafkaError | None:
    """Return None also where the broker says that it had the batch before."""
    if code in (0, DuplicateSequenceNumber.errno):
        return None
    error: KafkaError = for_code(code)()
    return error
