"""What every engine refuses before it sends anything."""

from collections.abc import Sequence

from bus.base import RECORD_BYTES_MAX, Record, RecordTooLarge

NOTE_BYTES_MAX = 4000
"""Kafka takes 4,096 bytes of metadata with an offset."""


def refuse_large(records: Sequence[Record]) -> None:
    """Raise RecordTooLarge if the key and value of any record are above RECORD_BYTES_MAX together."""
    for index, record in enumerate(records):
        size_bytes = len(record[0]) + len(record[1])
        if size_bytes > RECORD_BYTES_MAX:
            raise RecordTooLarge(
                f"record {index} has {size_bytes} bytes; a record may have {RECORD_BYTES_MAX} at most"
            )


def refuse_long_note(note: str) -> None:
    """Raise ValueError if `note` has more than NOTE_BYTES_MAX bytes of UTF-8."""
    size_bytes = len(note.encode())
    if size_bytes > NOTE_BYTES_MAX:
        raise ValueError(f"a note may have {NOTE_BYTES_MAX} bytes at most; this one has {size_bytes}")
