"""The topics of the bus, and where in them a record stands."""

from msgspec import Struct

RAW = "events.raw"  # accepted by the gateway, as the producer sent them
REJECTED = "events.rejected"  # refused by the gateway, one by one
DEAD = "events.dead"  # accepted, but a worker could not make a row of them
MATCHED = "events.matched"  # matched an automation filter

ALL = (RAW, REJECTED, DEAD, MATCHED)

READERS = {
    RAW: "penstock-events",
    REJECTED: "penstock-quarantine",
    DEAD: "penstock-quarantine",
    MATCHED: "penstock-webhooks",
}
"""The consumer group that reads a topic: `penstock-` and the name of the worker."""


class Partition(Struct, frozen=True, order=True):
    """One ordered log: partition `index` (>= 0) of `topic`."""

    topic: str
    index: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.index}"


class Coordinates(Struct, frozen=True, order=True, gc=False):
    """The identity of a record for good: no two records of an installation share one.

    `inc` is the incarnation of the log: it is raised when a topic was lost or made anew,
    so that an offset which is used again does not name an older record.
    """

    inc: int
    topic: str
    kp: int
    ko: int

    def __str__(self) -> str:
        return f"{self.inc}/{self.topic}/{self.kp}/{self.ko}"

    @classmethod
    def parse(cls, text: str) -> "Coordinates":
        """Read what `str()` wrote. Raises ValueError for anything else."""
        inc, topic, kp, ko = text.split("/")
        return cls(int(inc), topic, int(kp), int(ko))
