"""What a stage is, and the four things it may say of an event.

A stage judges; it never loses an event. A broken dependency is the exception `Unavailable` (the whole
batch is tried again), never a verdict. Any other exception makes the pipeline run the batch event by
event; the one that fails alone twice is dead, so no event can stop a partition.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct

from bus.base import Taken
from schemas.event import Event
from schemas.topics import Coordinates, Partition


class Unavailable(Exception):
    """A dependency of a stage is down; nothing was decided, so the batch is judged again later."""


class Keep(Struct, frozen=True, gc=False):
    """The event goes on; what the stage learnt stands in the event itself."""


class Duplicate(Struct, frozen=True, gc=False):
    """Another event with the same key came first: this one has no effect."""

    first_event_id: str


class Drop(Struct, frozen=True, gc=False):
    """The event is left out on purpose, for a documented reason."""

    reason: str


class Dead(Struct, frozen=True, gc=False):
    """No row can be made of this event; it goes to the quarantine with the reason."""

    code: str
    message: str
    pointer: str = ""


Verdict = Keep | Duplicate | Drop | Dead

KEEP = Keep()
"""The one instance: most events of most batches get it."""


class Stage(Protocol):
    """One step of a pipeline."""

    @property
    def name(self) -> str:
        """Stands in metrics, dead letters and `penstock stages`."""

    async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Give one verdict per event, in order. Raises Unavailable."""


@runtime_checkable
class Remembers(Protocol):
    """What a stage also has whose verdicts rest on what it saw before."""

    def taken_over(self, partition: Partition) -> None:
        """Note that another worker may have read this partition meanwhile."""

    async def release(self, dead: Iterable[tuple[Coordinates, Taken]]) -> None:
        """Give up what records hold that this stage kept and that ended dead. Raises StoreUnavailable."""
