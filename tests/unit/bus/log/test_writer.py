import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bus.base import BusUnavailable, Record
from bus.log import topic
from bus.log.database import Database
from bus.log.lock import FairLock
from bus.log.retention import Retention
from bus.log.writer import Writer


@pytest.fixture
async def writer(topic_path: Path) -> AsyncIterator[Writer]:
    writer = Writer(Database(topic_path, topic.make(2)), Retention(lambda _: None))
    await writer.publish([], 5)  # makes the file
    yield writer
    await writer.end()


def values(file: Database) -> list[bytes]:
    with file.reading() as connection:
        return [
            record.value
            for kp in topic.state(connection).extents
            for record in topic.read(connection, kp, start=0, records_max=10**6, bytes_max=10**9)
        ]


def rows(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        count: int = connection.execute("SELECT count(*) FROM blocks").fetchone()[0]
        return count


async def test_what_waits_together_is_committed_together(
    writer: Writer, topic_path: Path, topic_file: Database
) -> None:
    await writer.publish([Record(b"first", b"first")], 5)
    with FairLock(topic_path).held(wait_s=1):
        # The first takes the thread and waits for the lock; the others gather behind it.
        publishes = [
            asyncio.create_task(writer.publish([Record(b"k%d" % i, b"v%d" % i)], 5)) for i in range(50)
        ]
        await asyncio.sleep(0.1)
        assert not any(publish.done() for publish in publishes)
    await asyncio.gather(*publishes)
    assert len(values(topic_file)) == 51
    # One row for `first`, at most two partitions for the first of the fifty, two for the other 49.
    assert rows(topic_path) <= 5


async def test_what_misses_its_deadline_in_the_queue_is_never_written(
    writer: Writer, topic_path: Path, topic_file: Database
) -> None:
    with FairLock(topic_path).held(wait_s=1):
        late = [writer.publish([Record(b"k", b"late")], 0.1) for _ in range(3)]
        patient = asyncio.create_task(writer.publish([Record(b"k", b"patient")], 30))
        for result in await asyncio.gather(*late, return_exceptions=True):
            assert isinstance(result, BusUnavailable)
            assert "they were not written" in str(result)
    await patient
    await writer.publish([Record(b"k", b"next")], 5)
    assert values(topic_file) == [b"patient", b"next"]


async def test_what_its_caller_cancelled_in_the_queue_is_never_written(
    writer: Writer, topic_path: Path, topic_file: Database
) -> None:
    with FairLock(topic_path).held(wait_s=1):
        cancelled = asyncio.create_task(writer.publish([Record(b"k", b"cancelled")], 30))
        await asyncio.sleep(0.05)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    await writer.publish([Record(b"k", b"next")], 5)
    assert values(topic_file) == [b"next"]


async def test_the_loop_turns_while_the_disk_is_waited_for(writer: Writer, topic_path: Path) -> None:
    turns = 0
    with FairLock(topic_path).held(wait_s=1):
        publish = asyncio.create_task(writer.publish([Record(b"k", b"v")], 30))
        for _ in range(20):
            await asyncio.sleep(0.005)
            turns += 1
        assert not publish.done()
    await publish
    assert turns == 20


async def test_a_probe_commits_and_adds_no_record(writer: Writer, topic_file: Database) -> None:
    before_ms = time.time_ns() // 1_000_000
    await writer.publish([], 5)
    assert values(topic_file) == []
    with topic_file.reading() as connection:
        assert connection.execute("SELECT probed_at_ms FROM topic").fetchone()[0] >= before_ms


async def test_what_cannot_be_packed_does_not_end_the_thread(writer: Writer, topic_file: Database) -> None:
    with pytest.raises(TypeError):
        await writer.publish([Record(b"k", object())], 5)  # type: ignore[arg-type]
    await writer.publish([Record(b"k", b"v")], 5)
    assert values(topic_file) == [b"v"]


async def test_ending_writes_what_waits_and_refuses_more(topic_path: Path, topic_file: Database) -> None:
    writer = Writer(Database(topic_path, topic.make(2)), Retention(lambda _: None))
    waiting = [asyncio.create_task(writer.publish([Record(b"k", b"v%d" % i)], 5)) for i in range(20)]
    await asyncio.sleep(0)
    await writer.end()
    await asyncio.gather(*waiting)
    assert values(topic_file) == [b"v%d" % i for i in range(20)]
    with pytest.raises(BusUnavailable, match="closed"):
        await writer.publish([Record(b"k", b"v")], 5)
