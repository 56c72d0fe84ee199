"""Several replicas of the warehouse: what one has acknowledged, another may not show yet.

A row that is only late would be taken for missing and inserted again. So before anything is counted, the
server that is asked fetches what all of them have acknowledged.
"""

from stores.base import QueryRefused, StoreUnavailable, Warehouse


class Replicas:
    """Those of `cluster`; "" is a single server, which is always up to date."""

    def __init__(self, warehouse: Warehouse, cluster: str) -> None:
        self._warehouse = warehouse
        self._cluster = cluster

    @property
    def on_cluster(self) -> str:
        """What makes a statement run on every server, with a space behind it."""
        return f"ON CLUSTER '{self._cluster}' " if self._cluster else ""

    async def catch_up(self, table: str) -> None:
        """Return when the server has every acknowledged row of `table`. Raises StoreUnavailable."""
        if not self._cluster:
            return
        try:
            await self._warehouse.execute(f"SYSTEM SYNC REPLICA {table} LIGHTWEIGHT")
        except QueryRefused as error:
            raise StoreUnavailable(
                f"the replica cannot be asked to catch up: {error}; the workers' user needs the "
                "privilege SYSTEM SYNC REPLICA, and the tables must be those of `penstock migrate`"
            ) from error
