import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bus.base import BusUnavailable, Record
from bus.log.block import BLOCK_BYTES_MAX, BLOCK_RECORDS_MAX, PLAIN, ZSTD, Block, pack, unpack

RECORDS = st.builds(
    Record,
    st.binary(max_size=30),
    st.binary(max_size=300),
    st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=2).map(tuple),
)


@given(st.lists(RECORDS, max_size=30))
def test_what_was_packed_is_unpacked(records: list[Record]) -> None:
    taken = [record for block in pack(records) for record in unpack(100, block)]
    assert [Record(*record[1:]) for record in taken] == records
    assert [record.offset for record in taken] == list(range(100, 100 + len(records)))


def test_small_blocks_stay_plain_and_large_ones_shrink() -> None:
    (small,) = pack([Record(b"k", b"v")])
    (large,) = pack([Record(b"k", b'{"event":"page_viewed"}')] * 1000)
    assert small.codec == PLAIN
    assert large.codec == ZSTD
    assert len(large.data) < 2000


def test_blocks_are_cut_by_number_and_by_size() -> None:
    assert [block.count for block in pack([Record(b"", b"")] * (2 * BLOCK_RECORDS_MAX + 1))] == [
        2000,
        2000,
        1,
    ]
    half = Record(b"", bytes(BLOCK_BYTES_MAX // 2))
    assert [block.count for block in pack([half] * 5)] == [2, 2, 1]


@pytest.mark.parametrize(
    "change",
    [{"data": b"\xff\xff"}, {"count": 3}, {"codec": ZSTD}, {"data": b""}],
)
def test_a_broken_block_is_said_to_be_broken(change: dict[str, object]) -> None:
    (block,) = pack([Record(b"k", b"v")] * 2)
    broken: Block = replace(block, **change)
    with pytest.raises(BusUnavailable, match="the log is broken: the block at offset 5"):
        unpack(5, broken)
