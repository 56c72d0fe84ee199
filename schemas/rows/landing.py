"""The tables of the warehouse, and the one shape in which every row of them travels."""

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.topics import Partition

EVENTS = "events"
OUTCOMES = "outcomes"
QUARANTINE = "quarantine"
BATCHES = "batches"
PATCHES = "customer_patches"
PERSON_OVERRIDES = "person_overrides"

LANDING = {
    EVENTS: "events_in_1",
    OUTCOMES: "outcomes_in_1",
    QUARANTINE: "quarantine_in_1",
    BATCHES: "batches_in_1",
    PATCHES: "customer_patches_in_1",
}
"""Where rows of each table are inserted; `person_overrides` is written directly."""

COORDINATES = ("topic", "kp", "ko", "inc")
"""Columns of every landing table, before `row`: topic, partition, offset, incarnation."""

TIME_MS_MIN = 94_694_400_000  # 1973-01-01
TIME_MS_END = 7_258_118_400_000  # 2200-01-01; the views refuse a time outside [min, end)

TENANT_ID_MAX = 2**32 - 1


def columns(
    partition: Partition, inc: int, offsets: Sequence[int], rows: Sequence[str]
) -> Mapping[str, Sequence[Any]]:
    """Return what `Warehouse.insert(LANDING[table], …)` takes: rows that came from one partition.

    `rows[i]` is of the record at `offsets[i]`; of a batch it is the range's start.
    """
    count = len(rows)
    assert len(offsets) == count
    return {
        "topic": [partition.topic] * count,
        "kp": [partition.index] * count,
        "ko": offsets,
        "inc": [inc] * count,
        "row": rows,
    }
