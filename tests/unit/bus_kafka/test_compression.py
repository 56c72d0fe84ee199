"""What aiokafka compresses: by our function, into frames that any Kafka client reads."""

import asyncio

import cramjam
import lz4.frame
import pytest
from aiokafka.record.memory_records import MemoryRecords

from bus.base import Record
from bus.kafka import compression
from bus.kafka.lanes import Call, Lane, cut

VALUES = [b'{"v":1,"id":"%032x"}' % (n * 7919**5) * 20 for n in range(200)]


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Compress fast, and note the length of what was."""
    lengths: list[int] = []
    original = compression.lz4_encode

    def counted(data: bytes) -> bytes:
        lengths.append(len(data))
        return original(data)

    monkeypatch.setattr(compression, "lz4_encode", counted)
    compression.compress_fast()
    return lengths


async def test_batches_are_compressed_by_us_and_read_by_aiokafka(fast: list[int]) -> None:
    lane = Lane("t", 0, lambda batch, error: None)
    for piece in cut(Call(asyncio.get_running_loop()), [Record(b"k", value) for value in VALUES], 1):
        lane.add(piece)
    batch = lane.next_batch()
    assert batch is not None
    data = bytes(batch.build(1, 0))
    assert len(fast) == 1
    assert len(data) < fast[0] / 2
    found = MemoryRecords(data).next_batch()
    assert found is not None
    assert [record.value for record in found] == VALUES


def test_a_frame_is_of_the_kind_that_brokers_take() -> None:
    frame = compression.lz4_encode(b"".join(VALUES))
    told = lz4.frame.get_frame_info(frame)
    assert not told["block_linked"]
    assert not told["content_checksum"]
    assert told["content_size"] == 0  # not given
    assert bytes(cramjam.lz4.decompress(frame)) == b"".join(VALUES)
