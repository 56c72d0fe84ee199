"""How the redo dialect answers."""

from dialects.base import Receipt, Reply

_ACCEPTED = Reply(202)


def reply(receipt: Receipt) -> Reply:
    """Word the answer to a request that was taken: an empty 202, also when a bulk had invalid events."""
    return _ACCEPTED
