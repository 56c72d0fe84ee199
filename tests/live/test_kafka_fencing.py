"""A member that was frozen finds that the group went on without it."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from uuid import uuid4

import pytest

from bus.base import Fenced, Mark
from bus.kafka import create_topics
from bus.kafka.bus import KafkaBus
from bus.kafka.cluster import Cluster
from schemas.settings import Settings
from schemas.topics import ALL
from tests.contract.bus_members import PARTITIONS, PATIENCE_S, Member, owns, partitions, records
from tests.live.servers import LiveServer


async def test_a_frozen_member_is_fenced(kafka: LiveServer) -> None:
    settings = Settings(bus_url=kafka.url, bus_partitions=PARTITIONS)
    topic = f"fencing.{uuid4().hex[:12]}"
    await create_topics(settings, (*ALL, topic))
    frozen = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.live.member", kafka.url, topic, stdin=PIPE, stdout=PIPE
    )
    assert frozen.stdin is not None
    assert frozen.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S), KafkaBus(settings) as bus:
            await bus.publish(topic, records(40))
            assert await frozen.stdout.readline() == b"owns 4\n"
            frozen.stdin.write(b"commit\n")
            assert await frozen.stdout.readline() == b"committed\n"
            frozen.send_signal(signal.SIGSTOP)
            member = Member()
            subscription = await bus.subscribe(topic, group=topic, owner=member)
            await owns(subscription, member, partitions(topic))
            assert {claim.committed for claim in member.owned.values()} == {1}
            await subscription.commit([Mark(claim, 0, "mine") for claim in member.owned.values()])
            frozen.stdin.write(b"commit\n")
            frozen.send_signal(signal.SIGCONT)
            assert await frozen.stdout.readline() == b"Fenced\n"
            committed = await bus.committed(topic, group=topic)
            assert set(committed.values()) == {(0, "mine")}
            await subscription.close()
    finally:
        frozen.kill()
        await frozen.wait()


async def test_a_member_that_was_thrown_out_cannot_commit_into_an_empty_group(kafka: LiveServer) -> None:
    """While nobody is in a group, Kafka takes a commit from anyone who names no generation."""
    settings = Settings(bus_url=kafka.url, bus_partitions=PARTITIONS)
    topic = f"fencing.{uuid4().hex[:12]}"
    await create_topics(settings, (*ALL, topic))
    cluster = Cluster(settings)
    async with KafkaBus(settings) as bus:
        member = Member()
        subscription = await bus.subscribe(topic, group=topic, owner=member)
        await owns(subscription, member, partitions(topic))
        old = next(iter(member.owned.values()))
        ownership = subscription._handover.current
        assert ownership is not None
        await subscription.close()
        with pytest.raises(Fenced):
            await cluster.commit(ownership.membership, [Mark(old, 1)])
        assert await bus.committed(topic, group=topic) == {}
    await cluster.close()
