"""Questions to a Kafka cluster, each with a deadline: topics, leaders, ends, and a group's offsets.

aiokafka's own calls are not used for the offsets of a group: they overlook an error that stands for
the whole answer ("still loading"), which then reads as "nothing was ever committed".
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import (
    IllegalGenerationError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
    for_code,
)
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest
from msgspec import Struct

from bus.base import BusUnavailable, Fenced, Mark
from bus.kafka.connection import arguments, hang_up
from schemas.settings import Settings
from schemas.topics import Partition

REQUEST_TIMEOUT_MS = 5_000
ANSWER_S = 10.0
RETRY_S = 0.2
_EARLIEST, _LATEST = -2, -1
_REPLACED = (IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError)

Answer = TypeVar("Answer")


class Leader(Struct, frozen=True):
    """Who serves a partition: `node` is None while there is no leader."""

    partition: Partition
    node: int | None
    in_sync: int


class Membership(Struct, frozen=True):
    """What a group member shows to be let commit: the broker refuses an older generation."""

    group: str
    generation: int
    member_id: str


class Cluster:
    """One connection per broker, made when first needed and made anew after a question went unanswered."""

    def __init__(self, settings: Settings) -> None:
        self._arguments = arguments(settings)
        self._client: AIOKafkaClient | None = None
        self._lock = asyncio.Lock()
        self._coordinators: dict[str, int] = {}

    async def leaders(
        self, topics: Sequence[str], *, answer_s: float = ANSWER_S
    ) -> Mapping[str, list[Leader]]:
        """Return the partitions of those topics that exist. Raises BusUnavailable."""

        async def ask(client: AIOKafkaClient) -> dict[str, list[Leader]]:
            request = MetadataRequest(list(topics), allow_auto_topic_creation=False)
            response = await client.send(client.get_random_node(), request)
            return {
                topic: sorted((_leader(topic, *row) for row in rows), key=lambda leader: leader.partition)
                for error, topic, _, rows in response.topics
                if error == 0
            }

        return await self._ask(ask, answer_s)

    async def ends(self, topic: str) -> Mapping[Partition, tuple[int, int]]:
        """Return the first offset and one past the last of every partition. Raises BusUnavailable."""

        async def ask(client: AIOKafkaClient) -> dict[Partition, tuple[int, int]]:
            by_node = _by_node((await self.leaders([topic])).get(topic, []))
            if not by_node:
                raise BusUnavailable(f"topic {topic} does not exist; `penstock topics create` makes it")
            first, last = {}, {}
            for node, indexes in by_node.items():
                first.update(await _offsets(client, node, topic, indexes, _EARLIEST))
                last.update(await _offsets(client, node, topic, indexes, _LATEST))
            return {Partition(topic, index): (first[index], last[index]) for index in sorted(first)}

        return await self._ask(ask, ANSWER_S)

    async def committed(
        self, group: str, partitions: Sequence[Partition]
    ) -> Mapping[Partition, tuple[int, str]]:
        """Return offset and note for those partitions that have one. Raises BusUnavailable."""

        async def ask(client: AIOKafkaClient) -> dict[Partition, tuple[int, str]]:
            request = OffsetFetchRequest(group, _grouped((p.topic, p.index) for p in partitions))
            response = await self._coordinator_says(client, group, request)
            _refuse(response.error_code)
            found = {}
            for topic, rows in response.topics:
                for index, offset, note, error in rows:
                    _refuse(error)
                    if offset >= 0:
                        found[Partition(topic, index)] = (offset, note or "")
            return found

        return await self._ask(ask, ANSWER_S)

    async def commit(self, membership: Membership, marks: Sequence[Mark]) -> None:
        """Store offsets and notes in the name of that generation. Raises Fenced or BusUnavailable."""

        async def ask(client: AIOKafkaClient) -> None:
            topics = _grouped(
                (m.claim.partition.topic, (m.claim.partition.index, m.offset, m.note)) for m in marks
            )
            request = OffsetCommitRequest(
                membership.group,
                membership.generation,
                membership.member_id,
                OffsetCommitRequest.DEFAULT_RETENTION_TIME,
                topics,
            )
            response = await self._coordinator_says(client, membership.group, request)
            for _, rows in response.topics:
                for _, error in rows:
                    _refuse(error)

        try:
            await self._ask(ask, ANSWER_S)
        except _REPLACED as error:
            raise Fenced(f"the group went on without this member: {error}") from error

    async def close(self) -> None:
        """Close every connection."""
        client, self._client = self._client, None
        self._coordinators.clear()
        if client is not None:
            await hang_up(client)

    async def _coordinator_says(self, client: AIOKafkaClient, group: str, request: Any) -> Any:
        node = self._coordinators.get(group)
        if node is None:
            node = await client.coordinator_lookup(CoordinationType.GROUP, group)
            self._coordinators[group] = node
        return await client.send(node, request, group=ConnectionGroup.COORDINATION)

    async def _ask(self, ask: Callable[[AIOKafkaClient], Awaitable[Answer]], answer_s: float) -> Answer:
        """Ask until there is an answer. Errors that pass by themselves are asked again."""
        problem: BaseException = TimeoutError()
        try:
            async with asyncio.timeout(answer_s):
                while True:
                    try:
                        return await ask(await self._connected())
                    except _REPLACED:
                        raise
                    except KafkaError as error:
                        problem = error
                        self._coordinators.clear()
                        if not error.retriable:
                            break
                    await asyncio.sleep(RETRY_S)
        except TimeoutError:
            # A connection whose far end is gone looks open for minutes: the next question gets new ones.
            await self.close()
        raise BusUnavailable(f"Kafka gives no answer: {problem!r}") from problem

    async def _connected(self) -> AIOKafkaClient:
        async with self._lock:
            if self._client is None:
                client = AIOKafkaClient(**self._arguments, request_timeout_ms=REQUEST_TIMEOUT_MS)
                try:
                    await client.bootstrap()
                except BaseException:
                    await hang_up(client)
                    raise
                self._client = client
            return self._client


def _refuse(code: int) -> None:
    if code:
        raise for_code(code)()


def _leader(topic: str, error: int, index: int, node: int, _replicas: Any, in_sync: Any, *_: Any) -> Leader:
    return Leader(Partition(topic, index), None if error or node < 0 else node, len(in_sync))


def _by_node(leaders: Sequence[Leader]) -> dict[int, list[int]]:
    by_node: dict[int, list[int]] = {}
    for leader in leaders:
        if leader.node is None:
            raise BusUnavailable(f"{leader.partition} has no leader")
        by_node.setdefault(leader.node, []).append(leader.partition.index)
    return by_node


def _grouped(pairs: Any) -> list[tuple[str, list[Any]]]:
    by_topic: dict[str, list[Any]] = {}
    for topic, value in pairs:
        by_topic.setdefault(topic, []).append(value)
    return list(by_topic.items())


async def _offsets(
    client: AIOKafkaClient, node: int, topic: str, indexes: list[int], when: int
) -> dict[int, int]:
    request = OffsetRequest(-1, 0, [(topic, [(index, when) for index in indexes])])
    response = await client.send(node, request)
    found = {}
    for _, rows in response.topics:
        for index, error, _, offset in rows:
            _refuse(error)
            found[index] = offset
    return found
