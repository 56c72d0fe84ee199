"""What webhooks still hold of events: read page by page, and taken away where the person is erased."""

from collections.abc import AsyncIterator, Sequence

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from stores.registry.database import Database
from stores.registry.deliveries import NOBODY, Delivery, delivery_of
from stores.registry.tables import deliveries, filters
from stores.registry.tenants import now_ms

PAGE_ROWS = 50
"""Each may have a body of 384 KiB."""

STATES = ("waiting", "dead")
"""Those that have a body. In this order: one that dies meanwhile is seen all the same."""


class Undelivered:
    """The part of the registry that shows what deliveries hold. Every call raises StoreUnavailable."""

    _database: Database

    async def undelivered(self, tenant_id: int) -> AsyncIterator[Sequence[Delivery]]:
        """Yield all of a tenant's deliveries that have a body, page by page."""
        # By filter and state: the index by tenant leads to millions that were delivered, too.
        own = select(filters.c.filter_id).where(filters.c.tenant_id == tenant_id)
        ids = [str(row.filter_id) for row in await self._database.read(own)]
        for state in STATES:
            for filter_id in ids:
                async for page in self._pages(filter_id, state):
                    yield page

    async def _pages(self, filter_id: str, state: str) -> AsyncIterator[Sequence[Delivery]]:
        columns = deliveries.c
        due_at, match_id = 0, NOBODY
        while True:
            beyond = or_(columns.due_at > due_at, columns.match_id > match_id)
            page = (
                select(deliveries)
                .where(columns.filter_id == filter_id, columns.state == state)
                .where(columns.due_at >= due_at, beyond, columns.body != "")
                .order_by(columns.due_at, columns.match_id)
                .limit(PAGE_ROWS)
            )
            found = [delivery_of(row) for row in await self._database.read(page)]
            if found:
                yield found
                due_at, match_id = found[-1].due_at, found[-1].match_id
            if len(found) < PAGE_ROWS:
                return


async def take_away(connection: AsyncConnection, match_ids: Sequence[str], reason: str) -> int:
    """Let these never be sent, in the caller's transaction; return of how many that took a body away."""
    columns = deliveries.c
    statement = (
        update(deliveries)
        .where(columns.match_id.in_(match_ids), columns.state.in_(STATES))
        .values(state="erased", reason=reason, body="", claim="")
        .values(ended_at=func.coalesce(columns.ended_at, now_ms()))
    )
    return (await connection.execute(statement)).rowcount
