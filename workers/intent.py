"""The note that stands beside a committed offset: what the owner is about to write.

`v1;inc=1;h=91b5…;e=12000;t0=…;t1=…;q=…` at offset 2000 says: all below 2000 is in the warehouse, and
[2000, 12000) may be. Without `e` nothing is under way.
"""

import hashlib

from msgspec import Struct

VERSION = "v1"


class NoteUnreadable(ValueError):
    """The note was written by a newer worker, or by something else."""


class Intent(Struct, frozen=True):
    """A range [offset, end) that may be partly written. Times are Unix ms, both ends included.

    `token` begins the tokens of the inserts that may be under way; "" where that is not known.
    """

    end: int
    received_from: int
    received_to: int
    token: str = ""


class Note(Struct, frozen=True):
    """What is known of the log at the committed offset.

    `before` is the digest of the record before the offset ("" where it was never read), so that another
    log under the same name is noticed. `inc` is the incarnation that the offset belongs to.
    """

    inc: int
    before: str = ""
    intent: Intent | None = None

    def __str__(self) -> str:
        parts = [VERSION, f"inc={self.inc}"]
        if self.before:
            parts.append(f"h={self.before}")
        if self.intent is not None:
            i = self.intent
            parts += [f"e={i.end}", f"t0={i.received_from}", f"t1={i.received_to}", f"q={i.token}"]
        return ";".join(parts)

    @classmethod
    def parse(cls, text: str) -> "Note":
        """Read what `str()` wrote. Raises NoteUnreadable for anything else."""
        version, *parts = text.split(";")
        fields = dict(part.partition("=")[::2] for part in parts)
        try:
            if version != VERSION:
                raise ValueError(version)
            intent = None
            if "e" in fields:
                token = fields["q"].removeprefix("penstock/")  # which stood before it at first
                intent = Intent(int(fields["e"]), int(fields["t0"]), int(fields["t1"]), token)
            return cls(int(fields["inc"]), fields.get("h", ""), intent)
        except (ValueError, KeyError) as error:
            raise NoteUnreadable(f"not a note of this worker: {error}") from None


def digest(value: bytes) -> str:
    """Return what a note says of a record."""
    return hashlib.blake2b(value, digest_size=8).hexdigest()
