"""What a registry tells its database, and how the database would go about it."""

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import event

from stores.registry import SqlRegistry


class Told(NamedTuple):
    """One statement, as the driver was given it."""

    sql: str
    params: Any


@contextlib.contextmanager
def statements(registry: SqlRegistry) -> Iterator[list[Told]]:
    """Collect what the database is told meanwhile."""
    told: list[Told] = []

    def tell(connection: object, cursor: object, sql: str, params: object, *_: object) -> None:
        told.append(Told(sql, params))

    engine = registry._database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", tell)
    try:
        yield told
    finally:
        event.remove(engine, "before_cursor_execute", tell)


async def plan_of(registry: SqlRegistry, told: Told) -> str:
    """Return the database's plan for a statement, were its tables large."""
    async with registry._database.engine.connect() as connection:
        if connection.dialect.name == "sqlite":  # which takes a table that it has not analysed for large
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {told.sql}", told.params)
        else:
            await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            await connection.exec_driver_sql("SET LOCAL enable_sort = off")
            rows = await connection.exec_driver_sql(f"EXPLAIN {told.sql}", told.params)
        return "\n".join(str(row[-1]) for row in rows)
