"""Numbered SQL migrations of the warehouse: applied in order, recorded, never taken back.

In a migration `$on_cluster` stands before the columns of a CREATE and before the change of an ALTER,
`${replicated}` before a MergeTree engine, and `${deduplication_window}` for the setting that makes the
engine remember the tokens of inserts. Without a cluster the first two are empty. Statements can be
repeated (IF NOT EXISTS), so two processes may migrate at once.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from string import Template

from stores.base import StoreMisconfigured
from stores.warehouse import ClickHouse

_FILE = re.compile(r"(\d{3})_(\w+)\.sql")
_CLUSTER = re.compile(r"[\w.-]+")

_RECORDS = """\
CREATE TABLE IF NOT EXISTS schema_migrations $on_cluster
(
    number     UInt32,
    name       String,
    checksum   String,
    applied_at DateTime64(3, 'UTC')
)
ENGINE = ${replicated}ReplacingMergeTree(applied_at)
ORDER BY number"""


@dataclass(frozen=True)
class Migration:
    """One file of schemas/ddl."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Tells whether the file is still what was applied."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self, cluster: str) -> list[str]:
        """Return the statements for a cluster, or for a single server (cluster "")."""
        parts = re.split(r";[ \t]*\n", _filled(self.text, cluster))
        return [part.strip() for part in parts if part.strip()]


def migrations() -> list[Migration]:
    """Return all that this version knows, in order."""
    named = ((file, _FILE.fullmatch(file.name)) for file in files("schemas").joinpath("ddl").iterdir())
    found = [
        Migration(int(match[1]), file.name.removesuffix(".sql"), file.read_text("utf-8"))
        for file, match in named
        if match
    ]
    return sorted(found, key=lambda migration: migration.number)


async def migrate(warehouse: ClickHouse, *, cluster: str) -> list[str]:
    """Bring the database to this version; return the names of what was applied now.

    Creates the database if it is missing. Raises StoreMisconfigured if the database is newer than this
    version, or was made by other migrations; StoreUnavailable; QueryRefused.
    """
    if cluster and not _CLUSTER.fullmatch(cluster):
        raise StoreMisconfigured(f"PENSTOCK_CLICKHOUSE_CLUSTER is not a cluster's name: {cluster!r}")
    await _create_database(warehouse, cluster)
    await warehouse.execute(_filled(_RECORDS, cluster))
    known = migrations()
    applied = await _applied(warehouse)
    _refuse_others(known, applied)
    done = []
    for migration in known:
        if migration.number in applied:
            continue
        for statement in migration.statements(cluster):
            await warehouse.execute(statement)
        await _record(warehouse, migration)
        done.append(migration.name)
    return done


async def _create_database(warehouse: ClickHouse, cluster: str) -> None:
    name = warehouse.address.database.replace("\\", "\\\\").replace("`", "\\`")
    # A server lets nobody in who names a database that is not there yet.
    async with ClickHouse(warehouse.address.without_database()) as server:
        await server.execute(_filled(f"CREATE DATABASE IF NOT EXISTS `{name}` $on_cluster", cluster))


async def _applied(warehouse: ClickHouse) -> dict[int, str]:
    rows = await warehouse.query("SELECT number, checksum FROM schema_migrations FINAL")
    return {int(row["number"]): str(row["checksum"]) for row in rows}


def _refuse_others(known: list[Migration], applied: dict[int, str]) -> None:
    newest = known[-1].number
    if applied and max(applied) > newest:
        raise StoreMisconfigured(
            f"the warehouse has migration {max(applied):03}, this version of Penstock knows up to "
            f"{newest:03}: run the newer version; a schema is never taken back"
        )
    for migration in known:
        if applied.get(migration.number, migration.checksum) != migration.checksum:
            raise StoreMisconfigured(
                f"migration {migration.name} is not the one that was applied to this warehouse: "
                "an applied migration is never edited; use another database, or restore the file"
            )


async def _record(warehouse: ClickHouse, migration: Migration) -> None:
    await warehouse.execute(
        "INSERT INTO schema_migrations (number, name, checksum, applied_at) "
        "SELECT %(number)s, %(name)s, %(checksum)s, now64(3)",
        {"number": migration.number, "name": migration.name, "checksum": migration.checksum},
    )


def _filled(text: str, cluster: str) -> str:
    return Template(text).substitute(
        on_cluster=f"ON CLUSTER '{cluster}'" if cluster else "",
        replicated="Replicated" if cluster else "",
        deduplication_window=(
            "replicated_deduplication_window" if cluster else "non_replicated_deduplication_window"
        ),
    )
