"""The topics of Penstock in Kafka: made with what durability asks for, and checked against it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code

from bus.base import BusUnavailable
from bus.kafka.connection import arguments, servers
from schemas.settings import Settings
from schemas.topics import ALL

RETENTION_MS = 7 * 24 * 60 * 60 * 1000
MESSAGE_BYTES_MAX = 2 * 2**20
ANSWER_S = 15.0

Answer = TypeVar("Answer")


async def create_topics(settings: Settings, topics: Sequence[str] = ALL) -> list[str]:
    """Make the topics that are missing; return a sentence about each one made and each difference found.

    Nothing that exists is changed. Raises BusUnavailable.
    """
    return await _with_admin(settings, lambda admin: _create(admin, settings, topics))


async def verify_topics(settings: Settings, topics: Sequence[str] = ALL) -> list[str]:
    """Return a sentence for each topic or topic setting that is not as it should be; none when all are.

    Raises BusUnavailable.
    """
    return await _with_admin(settings, lambda admin: _verify(admin, settings, topics))


async def retention_ms(settings: Settings, topic: str) -> int | None:
    """Return how long Kafka keeps a topic's records, None: for good. Raises BusUnavailable."""
    config = await _with_admin(settings, lambda admin: _config(admin, topic))
    kept_ms = int(config.get("retention.ms", RETENTION_MS))
    return None if kept_ms < 0 else kept_ms


def wanted(settings: Settings) -> Mapping[str, str]:
    """Return the topic settings that Penstock asks for."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(RETENTION_MS),
        "max.message.bytes": str(MESSAGE_BYTES_MAX),
        "min.insync.replicas": str(in_sync_min(settings)),
        "unclean.leader.election.enable": "false",
    }


def in_sync_min(settings: Settings) -> int:
    """Return how many replicas must have a record before it counts as durable."""
    return 2 if settings.bus_replicas > 1 else 1


async def _with_admin(settings: Settings, use: Callable[[Any], Awaitable[Answer]]) -> Answer:
    admin = AIOKafkaAdminClient(**arguments(settings), request_timeout_ms=10_000)
    try:
        async with asyncio.timeout(ANSWER_S):
            await admin.start()
            return await use(admin)
    except KafkaConnectionError as error:
        raise BusUnavailable(
            f"Kafka at {', '.join(servers(settings))} cannot be reached, or does not let us in: does it run, "
            "and are PENSTOCK_BUS_URL, PENSTOCK_KAFKA_TLS, _CA, _CERT, _USER, _PASSWORD, _SASL what it wants?"
        ) from error
    except (KafkaError, TimeoutError) as error:
        raise BusUnavailable(f"Kafka gives no answer about topics: {error!r}") from error
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, settings: Settings, topics: Sequence[str]) -> list[str]:
    there = await _described(admin, topics)
    missing = [topic for topic in topics if topic not in there]
    said = []
    if missing:
        config = dict(wanted(settings))
        new = [
            NewTopic(t, settings.bus_partitions, settings.bus_replicas, topic_configs=config) for t in missing
        ]
        response = await admin.create_topics(new)
        for topic, code, *message in response.topic_errors:
            if code == TopicAlreadyExistsError.errno:
                continue  # another process was quicker
            if code:
                raise BusUnavailable(
                    f"{topic} cannot be made: {for_code(code).__name__} {' '.join(map(str, message))}"
                )
            said.append(
                f"{topic}: made, {settings.bus_partitions} partitions, {settings.bus_replicas} replicas"
            )
        await _wait_for_leaders(admin, missing)
    return said + await _differences(admin, settings, there)


async def _wait_for_leaders(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> None:
    """Return when the brokers know the new topics too, which is a moment after the controller made them."""
    while True:
        described = (await _described(admin, topics)).values()
        leaders = [partition["leader"] for topic in described for partition in topic["partitions"]]
        if len(described) == len(topics) and all(leader >= 0 for leader in leaders):
            return
        await asyncio.sleep(0.05)


async def _verify(admin: AIOKafkaAdminClient, settings: Settings, topics: Sequence[str]) -> list[str]:
    there = await _described(admin, topics)
    missing = [
        f"{topic}: does not exist; `penstock topics create` makes it"
        for topic in topics
        if topic not in there
    ]
    return missing + await _differences(admin, settings, there)


async def _described(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> dict[str, Any]:
    described = await admin.describe_topics(None)
    return {topic["topic"]: topic for topic in described if topic["topic"] in topics}


async def _differences(admin: AIOKafkaAdminClient, settings: Settings, there: Mapping[str, Any]) -> list[str]:
    said = []
    for name, topic in there.items():
        partitions = topic["partitions"]
        if len(partitions) != settings.bus_partitions:
            said.append(
                f"{name}: has {len(partitions)} partitions, the settings say {settings.bus_partitions}"
            )
        replicas = min((len(partition["replicas"]) for partition in partitions), default=0)
        if replicas < settings.bus_replicas:
            said.append(f"{name}: has {replicas} replicas, the settings say {settings.bus_replicas}")
        config = await _config(admin, name)
        said.extend(
            f"{name}: {key} is {config.get(key)}, it should be {value}"
            for key, value in wanted(settings).items()
            if not _good(key, config.get(key), value)
        )
    return said


def _good(key: str, found: str | None, value: str) -> bool:
    """Longer retention, larger messages and more replicas in sync than asked for are good too."""
    if found is None or not value.isdigit():
        return found == value
    return int(found) >= int(value) or (key == "retention.ms" and int(found) < 0)


async def _config(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return {name: value for answer in answers for row in answer.resources for name, value, *_ in row[4]}
