"""How the relo dialect answers."""

from msgspec import Struct

from dialects import bodies
from dialects.base import Receipt, Reply


class BatchReply(Struct, frozen=True):
    """Counts are exact; at most 100 errors are listed."""

    accepted: int
    rejected: int
    errors: tuple[bodies.EventError, ...]


def reply(receipt: Receipt) -> Reply:
    """Word the answer to a batch, also when every event of it was rejected."""
    errors = bodies.event_errors(receipt)
    return bodies.reply(200, BatchReply(receipt.accepted, len(receipt.refused), errors))
