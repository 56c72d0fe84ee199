import pytest

from bus.base import BusUnavailable, Record
from bus.log import topic
from bus.log.block import pack
from bus.log.database import Database
from bus.log.topic import Extent


def append(file: Database, kp: int, count: int, size_bytes: int = 10) -> None:
    with file.writing(wait_s=1) as connection:
        topic.append(
            connection, {kp: pack([Record(b"k", bytes([i % 256]) * size_bytes) for i in range(count)])}
        )


def offsets(
    file: Database, kp: int, start: int, records_max: int = 10**6, bytes_max: int = 10**9
) -> list[int]:
    with file.reading() as connection:
        taken = topic.read(connection, kp, start=start, records_max=records_max, bytes_max=bytes_max)
    return [record.offset for record in taken]


def extents(file: Database) -> dict[int, Extent]:
    with file.reading() as connection:
        return dict(topic.state(connection).extents)


def test_every_partition_counts_for_itself(topic_file: Database) -> None:
    append(topic_file, 0, 3)
    append(topic_file, 1, 5)
    append(topic_file, 0, 2)
    assert extents(topic_file) == {0: Extent(0, 5), 1: Extent(0, 5)}
    assert offsets(topic_file, 0, 0) == offsets(topic_file, 1, 0) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("start", [0, 1, 2999, 3000, 3999, 4000])
def test_reading_starts_inside_a_block_and_ends_at_the_end(topic_file: Database, start: int) -> None:
    for _ in range(2):
        append(topic_file, 0, 2000)
    append(topic_file, 1, 10)
    assert offsets(topic_file, 0, start) == list(range(start, 4000))


def test_reading_stops_after_the_block_that_fills_it(topic_file: Database) -> None:
    for _ in range(5):
        append(topic_file, 0, 10, size_bytes=99)
    assert offsets(topic_file, 0, 0, records_max=11) == list(range(20))
    assert offsets(topic_file, 0, 5, bytes_max=1) == list(range(5, 10))
    assert offsets(topic_file, 0, 0, bytes_max=3000) == list(range(30))


def test_a_hole_is_never_read_over(topic_file: Database) -> None:
    for _ in range(3):
        append(topic_file, 0, 10)
    with topic_file.writing(wait_s=1) as connection:
        connection.execute("DELETE FROM blocks WHERE place = 10")
    with pytest.raises(BusUnavailable, match="partition 0 misses offset 10"):
        offsets(topic_file, 0, 0)


def test_a_log_has_an_identity_of_its_own(topic_file: Database) -> None:
    with topic_file.reading() as connection:
        first = topic.state(connection).log_id
    topic_file.close()
    for part in topic_file.path.parent.iterdir():
        part.unlink()
    with topic_file.reading() as connection:
        assert topic.state(connection).log_id != first


def test_the_file_says_how_many_partitions_there_are(topic_file: Database) -> None:
    append(topic_file, 0, 1)
    other = Database(topic_file.path, topic.make(9))
    with other.reading() as connection:
        assert topic.partition_count(connection) == 2
