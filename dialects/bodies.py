"""Replies in JSON: the error shape that holds wherever a protocol fixes no other (rule 5)."""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from dialects.base import Problem, Receipt, Refused, Reply

ERRORS_LISTED_MAX = 100

_encode = msgspec.json.Encoder().encode


class Fault(Struct, frozen=True):
    """Why a request was not taken: `code` is stable, `message` says how to fix it."""

    code: str
    message: str


class FieldError(Struct, frozen=True):
    """One thing that is wrong with a single event; `field` is the path from its root."""

    code: str
    field: str
    message: str


class InvalidEvent(Struct, frozen=True):
    """Why the only event of a request was not taken."""

    code: str
    message: str
    errors: tuple[FieldError, ...]


class EventError(Struct, frozen=True):
    """Why one event of a batch was rejected; `index` is its place in the request."""

    index: int
    code: str
    field: str
    message: str


def reply(status: int, body: Any, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Return a reply with the body as JSON."""
    return Reply(status, _encode(body), headers)


def refuse(problem: Problem, body: bytes) -> Reply:
    """Word the answer to a request that was not taken, as `{"code", "message"}`.

    An invalid event of a single route adds the list `errors`.
    """
    fault: Fault | InvalidEvent = Fault(problem.code, problem.message)
    if problem.refusals:
        errors = tuple(FieldError(r.code, r.field, r.message) for r in flat(problem.refusals))
        fault = InvalidEvent(problem.code, problem.message, errors)
    return reply(problem.status, fault, retry_after(problem))


def retry_after(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the header that every 429 and 503 carries (rule 6)."""
    if problem.retry_after_s is None:
        return ()
    return (("Retry-After", str(max(1, problem.retry_after_s))),)


def flat(refusals: Iterable[Refused]) -> list[Refused]:
    """Return each thing that is wrong once, with those listed in `others`."""
    listed = {(r.code, r.field): r for refused in refusals for r in (refused, *refused.others)}
    return list(listed.values())


def event_errors(receipt: Receipt) -> tuple[EventError, ...]:
    """Return the first rejected events of a batch, at most 100."""
    listed = receipt.refused[:ERRORS_LISTED_MAX]
    return tuple(EventError(index, r.code, r.field, r.message) for index, r in listed)
