"""What becomes of each record of a batch: it is read, passes the stages, and ends as a row or with a reason.

Whatever fails here fails one record. Only `Unavailable` leaves this file: then nothing was decided.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from bus.base import Batch, Taken
from schemas.topics import Coordinates
from stores.base import StoreMisconfigured, StoreUnavailable
from workers.stage import KEEP, Dead, Drop, Duplicate, Keep, Unavailable, Verdict

log = logging.getLogger("penstock.worker")


class Received(Protocol):
    """What every item of a pipeline has."""

    @property
    def received_at(self) -> int:
        """When the gateway received it, in Unix ms."""


Item = TypeVar("Item", bound=Received)
Item_contra = TypeVar("Item_contra", contravariant=True)

Reader = Callable[[Taken, Coordinates], Item]
"""Makes an item of a record. Raises Unreadable."""


class Judge(Protocol[Item_contra]):
    """A stage (workers/stage.py) over the items of any pipeline."""

    @property
    def name(self) -> str: ...

    async def judge(self, events: Sequence[Item_contra], /) -> Sequence[Verdict]: ...


class Death(NamedTuple):
    """Why a record becomes no row, and at which stage that was found."""

    stage: str
    dead: Dead


class Unreadable(Exception):
    """No item can be made of a record."""

    def __init__(self, stage: str, dead: Dead) -> None:
        super().__init__(dead.message)
        self.death = Death(stage, dead)


class Judged(Generic[Item]):
    """A batch under judgement: each of its offsets is in exactly one of `offsets`, `ended` and `dead`."""

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.items: list[Item] = []  # parallel to `offsets`
        self.ended: dict[int, tuple[Item, Duplicate | Drop]] = {}
        self.dead: dict[int, Death] = {}

    def received(self) -> list[int]:
        """Return when the gateway received what becomes a row, in Unix ms."""
        return [item.received_at for item in self.items] + [
            item.received_at for item, _ in self.ended.values()
        ]

    def apply(self, stage: str, verdicts: Sequence[Verdict]) -> None:
        """Sort out what a stage did not keep."""
        offsets, items = self.offsets, self.items
        self.offsets, self.items = [], []
        for offset, item, verdict in zip(offsets, items, verdicts, strict=True):
            match verdict:
                case Keep():
                    self.offsets.append(offset)
                    self.items.append(item)
                case Dead():
                    self.dead[offset] = Death(stage, verdict)
                case Duplicate() | Drop():
                    self.ended[offset] = (item, verdict)


def decode(batch: Batch, read: Reader[Item], buried: Mapping[int, Death]) -> Judged[Item]:
    """Read every record; those that cannot be read are dead, and so are the `buried` ones."""
    judged: Judged[Item] = Judged()
    inc, topic, kp = batch.claim.inc, batch.claim.partition.topic, batch.claim.partition.index
    for record in batch.records:
        offset = record.offset
        if offset in buried:
            judged.dead[offset] = buried[offset]
            continue
        try:
            item = read(record, Coordinates(inc, topic, kp, offset))
        except Unreadable as why:
            judged.dead[offset] = why.death
        except Exception as error:  # a fault of the mapping is the record's end, not the worker's
            log.warning("%s at %s cannot be decoded", offset, batch.claim.partition, exc_info=True)
            judged.dead[offset] = _fault("decode", error)
        else:
            judged.offsets.append(offset)
            judged.items.append(item)
    return judged


async def pass_through(stage: Judge[Item], judged: Judged[Item]) -> None:
    """Let a stage judge all items that are still there. Raises Unavailable."""
    if not judged.items:
        return
    verdicts = await _ask(stage, judged.items)
    if not all(verdict is KEEP for verdict in verdicts):
        judged.apply(stage.name, verdicts)


Made = TypeVar("Made")


def rows(judged: Judged[Item], row: Callable[[Item], Made]) -> dict[int, Made]:
    """Return the row of each item that is left, by offset; an item that no row can be made of is dead."""
    try:
        return dict(zip(judged.offsets, map(row, judged.items), strict=True))
    except Exception:  # the one at fault is found below
        log.warning("a row cannot be made; going on one by one", exc_info=True)
    made: dict[int, Made] = {}
    for offset, item in zip(judged.offsets, judged.items, strict=True):
        try:
            made[offset] = row(item)
        except Exception as error:  # noqa: BLE001 - as in decode
            judged.dead[offset] = _fault("row", error)
    judged.items = [item for offset, item in zip(judged.offsets, judged.items, strict=True) if offset in made]
    judged.offsets = list(made)
    return made


async def _ask(stage: Judge[Item], items: Sequence[Item]) -> Sequence[Verdict]:
    """Return a verdict per item; after a failure of the stage, by halves, until those at fault are alone."""
    try:
        verdicts = await stage.judge(items)
        if len(verdicts) == len(items):
            return verdicts
        log.error("stage %s gave %d verdicts for %d events", stage.name, len(verdicts), len(items))
    except (Unavailable, StoreMisconfigured):
        raise
    except StoreUnavailable as error:
        raise Unavailable(str(error)) from error
    except Exception as error:  # noqa: BLE001 - one event's fault must not stop the others
        log.warning("stage %s failed on one of %d events: %s", stage.name, len(items), type(error).__name__)
    if len(items) == 1:
        return [await _ask_again(stage, items[0])]
    middle = len(items) // 2
    return [*await _ask(stage, items[:middle]), *await _ask(stage, items[middle:])]


async def _ask_again(stage: Judge[Item], item: Item) -> Verdict:
    """Ask for an item that has failed alone once; failing twice, it is dead."""
    try:
        (verdict,) = await stage.judge([item])
    except (Unavailable, StoreMisconfigured):
        raise
    except StoreUnavailable as error:
        raise Unavailable(str(error)) from error
    except Exception as error:
        log.warning("stage %s failed on one event twice", stage.name, exc_info=True)
        return _fault(stage.name, error).dead
    return verdict


def _fault(stage: str, error: Exception) -> Death:
    # The type only: a message may repeat what a producer sent.
    return Death(stage, Dead("stage_error", f"{stage} failed with {type(error).__name__}"))
