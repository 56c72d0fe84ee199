"""How the tracker dialect answers: each of its endpoints in shapes of its own."""

from typing import Literal

from msgspec import Raw, Struct

from dialects import bodies
from dialects.base import Problem, Receipt, Refused, Reply
from dialects.tracker.echo import transaction_id


class TrackReply(Struct, frozen=True):
    """What /analytics/track says."""

    success: bool
    message: str


class InvalidFields(Struct, frozen=True):
    """What is wrong with an event, by field."""

    message: str
    errors: dict[str, list[str]]


class ConversionReply(Struct, frozen=True):
    """What /analytics/conversion says; `transaction_id` is whatever was sent, or null."""

    status: Literal["ok", "skipped"]
    transaction_id: Raw


class InteractionReply(Struct, frozen=True):
    """What /interactions says."""

    status: Literal["success", "accepted"]


_TRACKED = bodies.reply(202, TrackReply(True, "Event accepted for processing"))
_NO_TENANT = bodies.reply(404, TrackReply(False, "Tenant not found or not available"))
_RECORDED = bodies.reply(201, InteractionReply("success"))
_ACCEPTED = bodies.reply(202, InteractionReply("accepted"))


def reply_track(receipt: Receipt) -> Reply:
    """Word the answer to an event that was taken."""
    return _TRACKED


def refuse_track(problem: Problem, body: bytes) -> Reply:
    """Word the answer to an event that was not taken."""
    if problem.code == "tenant_not_found":
        return _NO_TENANT
    return _refuse(problem, body)


def reply_interaction(receipt: Receipt) -> Reply:
    """Word the answer to an interaction that was taken."""
    return _RECORDED


def uniform_reply_interaction(receipt: Receipt) -> Reply:
    """As for an unknown tenant, so that nobody learns which tenants exist."""
    return _ACCEPTED


def refuse_interaction(problem: Problem, body: bytes) -> Reply:
    """Word the answer to an interaction that was not taken; our own failures are swallowed."""
    if problem.code == "tenant_not_found" or problem.status >= 500:
        return _ACCEPTED
    return _refuse(problem, body)


def reply_conversion(receipt: Receipt) -> Reply:
    """Word the answer to a conversion that was taken."""
    return bodies.reply(200, ConversionReply("ok", transaction_id(receipt.body)))


def refuse_conversion(problem: Problem, body: bytes) -> Reply:
    """Word the answer to a conversion that was not taken: 200, but for a caller that sends too many.

    (A wrong method is no conversion at all.)
    """
    if problem.status in {405, 429}:
        return bodies.refuse(problem, body)
    return bodies.reply(200, ConversionReply("skipped", transaction_id(body)))


def _refuse(problem: Problem, body: bytes) -> Reply:
    refusals = bodies.flat(problem.refusals)
    if problem.code == "product_not_found":
        refusals = [Refused(problem.code, problem.message, "product_id")]
    if not refusals:
        return bodies.refuse(problem, body)
    errors: dict[str, list[str]] = {}
    for refused in refusals:
        errors.setdefault(refused.field or "event", []).append(refused.message)
    status = 413 if problem.status == 413 else 422
    return bodies.reply(status, InvalidFields("Correct the fields that are listed in `errors`.", errors))
