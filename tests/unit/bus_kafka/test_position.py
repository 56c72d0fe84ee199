"""Contiguous offsets, and how much is handed out at once."""

from bus.base import Claim, Taken
from bus.kafka.position import Position
from schemas.topics import Partition

CLAIM = Claim(partition=Partition("t", 0), inc=1, epoch=1, committed=None, note="", log_start=0, log_end=99)


def taken(*offsets: int, size: int = 1) -> list[Taken]:
    return [Taken(offset, b"", b"x" * size) for offset in offsets]


def test_records_are_handed_out_once_and_in_order() -> None:
    position = Position(CLAIM, 5)
    assert position.accept(taken(5, 6, 7))
    assert position.accept(taken(8))
    first, second = position.cut(3, 100), position.cut(3, 100)
    assert first is not None
    assert second is not None
    assert [record.offset for record in first.records] == [5, 6, 7]
    assert [record.offset for record in second.records] == [8]
    assert position.cut(3, 100) is None
    assert position.taken == position.fetched == 9


def test_a_hole_or_a_repeat_is_refused_whole() -> None:
    position = Position(CLAIM, 5)
    for offsets in ((6, 7), (4, 5), (5, 7), (5, 6, 9)):
        assert not position.accept(taken(*offsets))
    assert position.cut(3, 100) is None
    assert position.accept(taken(5))


def test_bytes_bound_a_batch_but_never_stop_it() -> None:
    position = Position(CLAIM, 0)
    position.accept(taken(0, 1, 2, 3, size=40))
    position.accept(taken(4, size=500))
    lengths = []
    while batch := position.cut(100, 100):
        lengths.append(len(batch.records))
    assert lengths == [2, 2, 1]
