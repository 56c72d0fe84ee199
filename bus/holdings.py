"""What one member of a group holds: its claims, how far it has taken each, and what it tells its owner."""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from msgspec import Struct

from bus.base import Claim, LogChanged, Owner
from schemas.topics import Partition

REVOKE_S = 25.0
"""Deadline of `Owner.revoked`: after it the partitions move on, and commits for them are refused."""

_log = logging.getLogger(__name__)


class Held(Struct):
    """A claim and the next offset to take; None until the owner has said where to start."""

    claim: Claim
    position: int | None = None
    paused: bool = False


class Holdings:
    """The claims of one member. What its owner raises is kept, to be raised by the next `take`."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._held: dict[Partition, Held] = {}
        self._failure: Exception | None = None
        self.assigning = False

    def claims(self) -> list[Claim]:
        """Return all that is held, also what its owner has not started yet."""
        return [held.claim for held in self._held.values()]

    def due(self) -> list[Held]:
        """Return what `take` may read now. Raises what the owner raised."""
        self.check()
        return [held for held in self._held.values() if held.position is not None and not held.paused]

    def started(self) -> list[Held]:
        """Return all that the owner has started, paused or not."""
        return [held for held in self._held.values() if held.position is not None]

    def check(self) -> None:
        """Raise what the owner raised, or what else made this member unable to go on."""
        if self._failure is not None:
            raise self._failure

    @property
    def failed(self) -> bool:
        """Whether `take` raises from now on."""
        return self._failure is not None

    def fail(self, error: Exception) -> None:
        """Make every later `take` raise `error`."""
        self._failure = self._failure or error

    def pause(self, claims: Iterable[Claim], *, paused: bool) -> None:
        """Leave the claims out of `due`, or take them up again; claims no longer held are passed over."""
        for held in self._of(claims):
            held.paused = paused

    def stop(self, claims: Iterable[Claim]) -> None:
        """Let `due` return these claims no more; the owner has yet to be told."""
        for held in self._of(claims):
            held.position = None

    async def gain(self, claims: Sequence[Claim]) -> None:
        """Hold the claims and ask the owner where each starts."""
        self._held.update({claim.partition: Held(claim) for claim in claims})
        self.assigning = True
        try:
            starts = await self._owner.assigned(claims)
            for held in self._of(claims):
                held.position = starts[held.claim.partition]
        except Exception as error:  # noqa: BLE001 - whatever it is, it comes out of `take`
            self.fail(error)
        finally:
            self.assigning = False

    async def lose(self, claims: Sequence[Claim]) -> None:
        """Take nothing more of the claims, tell the owner, wait for it up to REVOKE_S, let go."""
        self.stop(claims)
        try:
            async with asyncio.timeout(REVOKE_S):
                await self._owner.revoked(claims)
        except TimeoutError:
            _log.warning("the owner did not give up %s within %d s", _names(claims), REVOKE_S)
        except Exception as error:  # noqa: BLE001 - as in `gain`
            self.fail(error)
        finally:
            for held in self._of(claims):
                del self._held[held.claim.partition]

    def _of(self, claims: Iterable[Claim]) -> list[Held]:
        # By epoch: a claim of an earlier ownership must not touch the present one.
        pairs = [(self._held.get(claim.partition), claim) for claim in claims]
        return [held for held, claim in pairs if held is not None and held.claim.epoch == claim.epoch]


def check_position(claim: Claim, position: int, log_start: int, log_end: int) -> None:
    """Raise LogChanged if the log, from `log_start` to before `log_end`, cannot be read from `position`."""
    if position < log_start:
        raise LogChanged(f"{claim.partition}: offset {position} is gone; the log starts at {log_start}")
    if position > log_end:
        raise LogChanged(f"{claim.partition}: offset {position} was never there; the log ends at {log_end}")


def _names(claims: Sequence[Claim]) -> str:
    return ", ".join(str(claim.partition) for claim in claims)
