"""Erasing a person: the request, what it concerns, and how an identifier is remembered without its value."""

import hashlib
from typing import Literal, get_args

import msgspec
from msgspec import Struct

from schemas.persons import Identifier

State = Literal["erasing", "waiting_for_log", "done"]
"""Rows are being deleted; they are gone, but the log has records of before; the certificate is written."""

STATES: tuple[State, ...] = get_args(State)

DIGEST_BYTES = 16

SUPPRESSED = "suppressed"
"""The reason of a dropped event, and of a webhook that is not sent, where they name an erased person."""

_encode = msgspec.json.Encoder().encode


def digest(identifier: Identifier) -> bytes:
    """Return what stands for an identifier once its value may not be kept."""
    return hashlib.blake2b(_encode(identifier), digest_size=DIGEST_BYTES).digest()


class Subject(Struct, frozen=True):
    """Who is erased or exported: all persons that are seen as one, and their identifiers in one scope."""

    tenant_id: int
    scope: str
    person_ids: tuple[str, ...]
    identifiers: tuple[Identifier, ...]

    @property
    def dialect(self) -> str:
        """The protocol that the person is known by."""
        return self.scope.partition("/")[0]

    @property
    def source(self) -> str | None:
        """The store, where the protocol has stores."""
        _, stores, source = self.scope.partition("/")
        return source if stores else None

    @property
    def digests(self) -> list[bytes]:
        """What stands for the identifiers, in their order."""
        return [digest(each) for each in self.identifiers]

    def values(self, *kinds: str) -> tuple[str, ...]:
        """Return the values of the identifiers of these kinds."""
        return tuple(each.value for each in self.identifiers if each.kind in kinds)

    def parts(self, size: int) -> "list[Subject]":
        """Cut into subjects of at most `size` identifiers and persons, which a statement can name."""
        count = max(len(self.identifiers), len(self.person_ids), 1)
        return [
            Subject(
                self.tenant_id,
                self.scope,
                self.person_ids[start : start + size],
                self.identifiers[start : start + size],
            )
            for start in range(0, count, size)
        ]


class Progress(Struct, frozen=True, omit_defaults=True):
    """How far an erasure is; in the end, what its certificate says. Times are Unix ms.

    `found` counts rows by table when it was asked for, `erased` the records that were given the outcome
    `erased`, by topic; `links` facts of the registry, `deliveries` webhooks that were still to be sent.
    `log_ends` are the ends of each topic's partitions when the rows were gone: what
    lies before them is waited for, until about `log_until` (None: the log keeps records for good).
    """

    found: dict[str, int] = {}
    links: int = 0
    deliveries: int = 0
    erased: dict[str, int] = {}
    applied_at: int | None = None
    log_ends: dict[str, list[int]] = {}
    log_until: int | None = None
    log_clear_at: int | None = None
    swept_at: int = 0
    problem: str = ""
