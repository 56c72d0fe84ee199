"""How the alana dialect answers."""

from msgspec import Struct

from dialects import bodies
from dialects.base import Receipt, Reply


class BatchReply(Struct, frozen=True, omit_defaults=True):
    """Counts are exact. `details` is there with ?verbose=1 only, and lists at most 100 errors."""

    status: str
    stored: int
    errors: int
    details: tuple[bodies.EventError, ...] | None = None


def reply(receipt: Receipt) -> Reply:
    """Word the answer to a batch, also when nothing of it was stored."""
    details = bodies.event_errors(receipt) if receipt.verbose else None
    return bodies.reply(200, BatchReply("ok", receipt.accepted, len(receipt.refused), details))
