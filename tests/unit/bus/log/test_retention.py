from collections.abc import Mapping

import pytest

from bus.base import Record
from bus.log import topic
from bus.log.block import pack
from bus.log.database import Database
from bus.log.retention import Retention
from bus.log.topic import Extent

HOUR_S = 3600


def fill(file: Database, *, hours_ago: int, count: int = 10) -> None:
    """Append one block of `count` records to partition 0, written some hours ago."""
    with file.writing(wait_s=1) as connection:
        topic.append(connection, {0: pack([Record(b"k", bytes(100))] * count)})
        (last,) = connection.execute("SELECT max(place) FROM blocks").fetchone()
        query = "UPDATE blocks SET written_at_ms = written_at_ms - ? WHERE place = ?"
        connection.execute(query, (hours_ago * HOUR_S * 1000, last))


def extent(file: Database) -> Extent:
    with file.reading() as connection:
        found = topic.state(connection).extents[0]
        taken = topic.read(connection, 0, start=found.log_start, records_max=10**6, bytes_max=10**9)
        assert [record.offset for record in taken] == list(range(found.log_start, found.log_end))
        return found


def retain(
    file: Database, floors: Mapping[int, int] | None, age_s: float = 10**9, bytes_max: float = 10**9
) -> None:
    Retention(lambda _: floors, age_s=age_s, bytes_max=bytes_max).run(file)


def test_what_is_too_old_goes(topic_file: Database) -> None:
    for hours_ago in (5, 3, 1):
        fill(topic_file, hours_ago=hours_ago)
    retain(topic_file, None, age_s=2 * HOUR_S)
    assert extent(topic_file) == Extent(20, 30)


def test_what_is_too_much_goes_oldest_first(topic_file: Database) -> None:
    for _ in range(10):
        fill(topic_file, hours_ago=0)
    with topic_file.reading() as connection:
        block_bytes = connection.execute("SELECT max(length(data)) FROM blocks").fetchone()[0]
    # Two partitions share the limit: half of it holds three and a half blocks.
    retain(topic_file, None, bytes_max=7 * block_bytes)
    assert extent(topic_file) == Extent(70, 100)


@pytest.mark.parametrize(("floor", "start"), [(0, 0), (9, 0), (10, 10), (25, 20), (30, 30)])
def test_nothing_goes_that_a_group_still_needs(topic_file: Database, floor: int, start: int) -> None:
    for _ in range(3):
        fill(topic_file, hours_ago=100)
    retain(topic_file, {0: floor}, age_s=1)
    assert extent(topic_file) == Extent(start, 30)


def test_a_group_that_never_committed_needs_everything(topic_file: Database) -> None:
    fill(topic_file, hours_ago=100)
    retain(topic_file, {1: 5}, age_s=1)
    assert extent(topic_file) == Extent(0, 10)


def test_everything_may_go_and_offsets_go_on(topic_file: Database) -> None:
    for _ in range(topic.DELETE_BLOCKS_MAX + 5):
        fill(topic_file, hours_ago=100, count=1)
    retain(topic_file, None, age_s=1)
    fill(topic_file, hours_ago=0)
    assert extent(topic_file) == Extent(261, 271)


def test_it_runs_once_in_a_while(topic_file: Database) -> None:
    asked: list[str] = []

    def floors(log_id: str) -> None:
        asked.append(log_id)

    retention = Retention(floors, every_s=1000)
    for _ in range(3):
        retention.run(topic_file)
    assert len(asked) == 1
