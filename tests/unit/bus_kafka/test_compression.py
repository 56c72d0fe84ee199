"""What aiokafka compresses: by our function, into frames that any Kafka client reads."""

import cramjam
import lz4.frame
import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from bus.kafka import compression

LZ4 = 3  # its number in a batch's attributes
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


def test_batches_are_compressed_by_us_and_read_by_aiokafka(fast: list[int]) -> None:
    batch = BatchBuilder(512 * 1024, LZ4)
    for value in VALUES:
        assert batch.append(timestamp=1, key=b"k", value=value) is not None
    data = bytes(batch._build())
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
