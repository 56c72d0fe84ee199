"""Schema of the registry, in steps that only go forward; Alembic keeps count in the database itself.

A step is a file in versions/, named by its number. Steps only add, so that gateways and workers of the
version before it run on while the fleet is upgraded.
"""

import asyncio
import contextlib
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.settings import Settings
from stores.base import StoreMisconfigured, StoreUnavailable
from stores.registry.database import Database, open_database

DEADLINE_S = 300.0
_LOCK = 0x70656E73746F636B  # any number that nothing else on that server locks: "penstock"
_TRIES_MAX = 20


async def migrate_registry(settings: Settings) -> list[str]:
    """Bring the registry's tables up to date and return the steps taken; none when they are.

    Several processes may start at once: one migrates, the others wait. Raises StoreUnavailable, and
    StoreMisconfigured where the database is newer than this version of Penstock.
    """
    database = open_database(settings, lock_wait_s=DEADLINE_S)
    try:
        if not database.is_postgres:
            await _use_wal(database)
        return await database.write(_migrate, deadline_s=DEADLINE_S)
    finally:
        await database.close()


async def _migrate(connection: AsyncConnection) -> list[str]:
    if connection.dialect.name == "postgresql":
        # Released when the transaction ends, however it ends.
        await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    return await connection.run_sync(_upgrade)


async def _use_wal(database: Database) -> None:
    """Let readers and the writer work side by side; the file remembers it."""

    async def run(connection: AsyncConnection) -> None:
        await connection.exec_driver_sql("PRAGMA journal_mode = WAL")

    for _ in range(_TRIES_MAX):
        # SQLite does not wait for the lock that this takes when two processes make a new file at once.
        with contextlib.suppress(StoreUnavailable):
            return await database.single(run)
        await asyncio.sleep(0.1)
    return await database.single(run)


def _upgrade(connection: Connection) -> list[str]:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_heads()
    known = {step.revision for step in script.walk_revisions()}
    newer = sorted(set(current) - known)
    if newer:
        raise StoreMisconfigured(
            f"The registry was migrated by a newer version of Penstock (it is at {newer[0]}, this version"
            f" knows up to {script.get_current_head()}). Upgrade Penstock, or give it another registry."
        )
    pending = [step.revision for step in script.iterate_revisions("heads", current or "base")]
    command.upgrade(config, "head")
    return pending[::-1]
