"""Deliveries as operators see them: listed, counted, tried anew, and gone when they are old."""

from collections.abc import Sequence

from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from stores.registry import rules
from stores.registry.database import Database
from stores.registry.deliveries import NOBODY, Delivery, delivery_of
from stores.registry.tables import deliveries, filters
from stores.registry.tenants import now_ms

EXPIRED = "not delivered in time"

ROWS_MAX = 1_000
"""Deleted or expired by one statement, so that none holds the database for long."""

_STATES = text("""
    SELECT d.state, count(*) AS number FROM filters AS f
    JOIN deliveries AS d ON d.filter_id = f.filter_id AND d.state IN ('waiting', 'dead')
    GROUP BY d.state""")


class DeliveryRecords:
    """The part of the registry that keeps the books of deliveries."""

    _database: Database

    async def sweep_deliveries(self, *, keep_ms: int) -> tuple[int, int]:
        """Declare dead what was tried for too long, forget what ended long ago; return how many of each."""
        now = now_ms()
        late = select(deliveries.c.match_id).where(
            deliveries.c.filter_id.in_(select(filters.c.filter_id)),  # by the index, which begins with it
            deliveries.c.state == "waiting",
            deliveries.c.due_at <= now,
            deliveries.c.expires_at <= now,
        )
        old = select(deliveries.c.match_id).where(
            deliveries.c.created_at <= now - keep_ms, deliveries.c.state != "waiting"
        )

        async def run(connection: AsyncConnection) -> tuple[int, int]:
            dying = update(deliveries).where(deliveries.c.match_id.in_(late.limit(ROWS_MAX)))
            dead = await connection.execute(
                dying.values(state="dead", reason=EXPIRED, ended_at=now, claim="")
            )
            going = delete(deliveries).where(deliveries.c.match_id.in_(old.limit(ROWS_MAX)))
            return dead.rowcount, (await connection.execute(going)).rowcount

        return await self._database.write(run)

    async def list_deliveries(
        self, tenant_id: int, *, filter_id: str = "", state: str = "", limit: int = 100
    ) -> Sequence[Delivery]:
        """Return the tenant's newest deliveries, of one filter or state if named. Raises StoreUnavailable."""
        if state in ("", "delivered"):  # most of them: from the newest on, until there are enough
            found = select(deliveries).where(deliveries.c.tenant_id == tenant_id)
        else:  # few among many: by the index of states, which begins with the filter
            theirs = select(filters.c.filter_id).where(filters.c.tenant_id == tenant_id)
            found = select(deliveries).where(deliveries.c.filter_id.in_(theirs))
        if state:
            found = found.where(deliveries.c.state == state)
        if filter_id:
            found = found.where(deliveries.c.filter_id == (rules.parse_uuid(filter_id) or NOBODY))
        found = found.order_by(deliveries.c.created_at.desc(), deliveries.c.match_id.desc()).limit(limit)
        return [delivery_of(row) for row in await self._database.lookup(found)]

    async def replay_deliveries(
        self, tenant_id: int, *, match_id: str = "", filter_id: str = "", keep_trying_ms: int
    ) -> int:
        """Let dead deliveries be tried anew: one of them, a filter's, or all; return how many."""
        now = now_ms()
        chosen = [deliveries.c.tenant_id == tenant_id, deliveries.c.state == "dead"]
        for column, given in ((deliveries.c.match_id, match_id), (deliveries.c.filter_id, filter_id)):
            if given:
                if (parsed := rules.parse_uuid(given)) is None:
                    return 0
                chosen.append(column == parsed)
        values = {"state": "waiting", "attempts": 0, "due_at": now, "expires_at": now + keep_trying_ms}

        async def run(connection: AsyncConnection) -> int:
            statement = update(deliveries).where(*chosen).values(**values, ended_at=None, claim="")
            return (await connection.execute(statement)).rowcount

        return await self._database.write(run)

    async def waiting_deliveries(self) -> tuple[int, int]:
        """Return how many deliveries wait and how many are dead. Raises StoreUnavailable."""
        rows = await self._database.lookup(_STATES)
        counts = {row.state: row.number for row in rows}
        return counts.get("waiting", 0), counts.get("dead", 0)
