"""One pass over the warehouse: outcomes first, then the rows; again and again until nothing is found."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from console.erasure.crash import crash_point
from console.erasure.mutations import ROWS_MAX, Mutations
from console.erasure.outcomes import Outcomes
from console.erasure.places import Place, Places
from console.metrics import ERASED_ROWS
from schemas.erasures import Subject
from schemas.rows import EVENTS, PATCHES, QUARANTINE
from stores.base import StoreUnavailable, Warehouse

PASSES_MAX = 10

Confirm = Callable[[], Awaitable[object]]
"""Awaited before every write; raises LeaseLost if another process works on the erasure."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Deletes the rows of one erasure."""

    warehouse: Warehouse
    erasure_id: str
    subject: Subject
    confirm: Confirm

    async def run(self) -> None:
        """Return when no row is left. Raises LeaseLost, StillApplying, StoreUnavailable."""
        await self.outcomes.kill_inserts()
        await self.mutations.wait()
        for _ in range(PASSES_MAX):
            if not await self._pass():
                await self.mutations.delete_doubled()
                return
        raise StoreUnavailable("rows of the person come in as fast as they are deleted")

    @property
    def outcomes(self) -> Outcomes:
        """Where the outcomes go."""
        return Outcomes(self.warehouse, self.erasure_id, self.subject.tenant_id)

    @property
    def mutations(self) -> Mutations:
        """How the rows go."""
        return Mutations(self.warehouse, self.erasure_id, self.subject.tenant_id)

    async def _pass(self) -> int:
        places = Places(self.warehouse, self.subject)
        found = 0
        async for rows in _gathered(places.events()):
            found += await self._erase(EVENTS, rows)
        async for rows in _gathered(places.letters()):
            found += await self._erase(QUARANTINE, rows)
        await self.confirm()
        await self.mutations.delete_person(self.subject.person_ids)
        return found

    async def _erase(self, table: str, rows: list[Place]) -> int:
        await self.confirm()
        await self.outcomes.record(rows)
        crash_point("after_outcomes")
        await self.confirm()
        if table == EVENTS:  # what they added to a profile, whosever it is
            await self.mutations.delete_places(PATCHES, rows)
        await self.mutations.delete_places(table, rows)
        ERASED_ROWS.labels(table).inc(len(rows))
        crash_point("after_delete")
        return len(rows)


async def _gathered(pages: AsyncIterator[list[Place]]) -> AsyncIterator[list[Place]]:
    """Yield as many rows at a time as one deletion names: each of them rewrites parts of a table."""
    rows: list[Place] = []
    async for page in pages:
        rows += page
        while len(rows) >= ROWS_MAX:
            yield rows[:ROWS_MAX]
            rows = rows[ROWS_MAX:]
    if rows:
        yield rows
