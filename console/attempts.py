"""Attempts to send a request, put together from the rows that tell what became of its events."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from schemas.topics import REJECTED


class Fate(Struct, frozen=True, omit_defaults=True):
    """What became of one event. `at` is when that was written down, the coordinates are its record's.

    `index` is its place in the request, null where a dead letter does not tell. `replay_of` names the
    record that this one repeats, as incarnation/topic/partition/offset.
    """

    event_id: str | None
    index: int | None
    outcome: Literal["stored", "duplicate", "dropped", "erased", "dead", "rejected", "in_flight"]
    at: Any
    topic: str
    partition: int
    offset: int
    first_event_id: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    pointer: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    replay_of: str | UnsetType = UNSET


class Attempt(Struct, frozen=True):
    """One request as it came in. `accepted` is how many events the gateway took, as far as it is known."""

    request_id: str
    tenant_id: int
    received_at: Any
    accepted: int
    in_flight: int
    events: list[Fate]

    @property
    def is_settled(self) -> bool:
        """Whether nothing can be in flight; rejected events alone do not tell how many were accepted."""
        return not self.in_flight and any(fate.topic != REJECTED for fate in self.events)


class Receipt(Struct, frozen=True):
    """All attempts that carried the request's id, or events of it under another id; the earliest first."""

    request_id: str
    complete: bool
    attempts: list[Attempt]


attempt_key = itemgetter("received_at", "request_id", "tenant_id")
"""What the rows of one attempt have in common."""

place_of = itemgetter("topic", "kp", "ko")
"""Where a row's record is."""


def attempts_of(rows: Sequence[Mapping[str, Any]]) -> list[Attempt]:
    """Return the attempts that the rows tell of, which are sorted by attempt_key."""
    return [_attempt(list(group)) for _, group in groupby(rows, key=attempt_key)]


def _attempt(rows: Sequence[Mapping[str, Any]]) -> Attempt:
    """Put the rows of one request together; a replayed event has several.

    Rejected events were not among the accepted ones, unless they were replayed.
    """
    rejected = {row["index"] for row in rows if _was_rejected(row)}
    taken = [row for row in rows if not _was_rejected(row) and row["index"] not in rejected]
    replayed = {row["index"] for row in rows if not _was_rejected(row)} & rejected
    # Where a dead letter does not tell its place, it is one more event.
    settled = len({row["index"] if row["of"] else place_of(row) for row in taken if row["at"] is not None})
    accepted = max([settled, *(row["of"] for row in taken)])
    return Attempt(
        request_id=rows[0]["request_id"],
        tenant_id=rows[0]["tenant_id"],
        received_at=rows[0]["received_at"],
        accepted=accepted + len(replayed),
        in_flight=accepted - settled,
        events=[_fate(row) for row in rows],
    )


def _was_rejected(row: Mapping[str, Any]) -> bool:
    """Tell whether the gateway refused the event, also where its letter has been erased."""
    outcome, topic = row["outcome"], row["topic"]
    return bool(outcome == "rejected" or (outcome == "erased" and topic == REJECTED))


def _fate(row: Mapping[str, Any]) -> Fate:
    told = _was_rejected(row) or row["of"]
    return Fate(
        event_id=str(row["event_id"]) if row["event_id"] else None,
        index=row["index"] if told else None,
        outcome=row["outcome"],
        at=row["at"],
        topic=row["topic"],
        partition=row["kp"],
        offset=row["ko"],
        first_event_id=str(row["first_event_id"]) if row["first_event_id"] else UNSET,
        reason=row["reason"] or UNSET,
        pointer=row["pointer"] or UNSET,
        message=row["message"] or UNSET,
        replay_of=row["replay_of"] or UNSET,
    )
