import pytest

from bus.base import RECORD_BYTES_MAX, Record, RecordTooLarge
from bus.limits import NOTE_BYTES_MAX, refuse_large, refuse_long_note


def test_a_record_at_the_limit_passes() -> None:
    refuse_large([Record(b"key", b"x" * (RECORD_BYTES_MAX - 3), (("header", b"x" * 1000),))])


def test_the_first_record_too_large_is_named() -> None:
    with pytest.raises(RecordTooLarge, match="record 1 has 393217 bytes"):
        refuse_large([Record(b"", b"x"), Record(b"k", b"x" * RECORD_BYTES_MAX)])


def test_a_note_counts_in_bytes() -> None:
    refuse_long_note("ñ" * (NOTE_BYTES_MAX // 2))
    with pytest.raises(ValueError, match="4002"):
        refuse_long_note("ñ" * (NOTE_BYTES_MAX // 2 + 1))
