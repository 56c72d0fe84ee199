"""Keys keep their partition for good, and spread."""

from collections import Counter

import pytest

from bus.partitioner import partition_of


@pytest.mark.parametrize(
    ("key", "partitions", "partition"),
    # crc32 of 123456789 is the check value 0xCBF43926 of its definition.
    [(b"123456789", 2**32, 0xCBF43926), (b"123456789", 8, 6), (b"", 8, 0), (b"1|device-00000001", 1, 0)],
)
def test_a_key_has_one_partition_for_good(key: bytes, partitions: int, partition: int) -> None:
    assert partition_of(key, partitions) == partition


@pytest.mark.parametrize("partitions", [3, 8, 12, 64])
def test_keys_that_are_alike_spread(partitions: int) -> None:
    found = Counter(partition_of(b"1|device-%08d" % n, partitions) for n in range(64_000))
    even = 64_000 / partitions
    assert len(found) == partitions
    assert all(abs(count - even) < even / 10 for count in found.values())
