"""The migration files, and what a cluster makes of them."""

import re

import pytest

from schemas.rows import LANDING
from stores.base import StoreMisconfigured
from stores.migrate import migrate, migrations
from stores.warehouse import Address, ClickHouse

REPEATABLE = (
    r"CREATE (TABLE|VIEW|MATERIALIZED VIEW) IF NOT EXISTS \w+"
    r"|ALTER TABLE \w+( ON CLUSTER 'main')?\s+(ADD COLUMN IF NOT EXISTS|MODIFY SETTING) \w+"
)


def test_they_are_numbered_without_a_gap() -> None:
    assert [migration.number for migration in migrations()] == list(range(1, len(migrations()) + 1))


@pytest.mark.parametrize("migration", migrations(), ids=lambda migration: migration.name)
def test_every_statement_can_be_repeated(migration: object) -> None:
    for cluster in ("", "main"):
        statements = migration.statements(cluster)  # type: ignore[attr-defined]
        assert statements
        for statement in statements:
            sql = re.sub(r"^(--[^\n]*\n)+", "", statement.replace("\n\n", "\n"))
            assert re.match(REPEATABLE, sql), sql[:80]


def test_a_single_server() -> None:
    text = "\n".join(statement for migration in migrations() for statement in migration.statements(""))
    assert "ON CLUSTER" not in text
    assert "Replicated" not in text
    assert text.count("non_replicated_deduplication_window = 10000") == len(LANDING)
    assert not re.search(r"\$(on_cluster|\{)", text)


def test_a_cluster() -> None:
    statements = [statement for migration in migrations() for statement in migration.statements("main")]
    assert all("ON CLUSTER 'main'" in statement for statement in statements)
    text = "\n".join(statements)
    engines = re.findall(r"ENGINE = (\w*MergeTree)", text)
    assert engines
    assert all(engine.startswith("Replicated") for engine in engines)
    assert text.count(" replicated_deduplication_window = 10000") == len(LANDING)
    assert "non_replicated" not in text


async def test_a_cluster_s_name_is_a_name() -> None:
    async with ClickHouse(Address.parse("clickhouse://127.0.0.1:1/p")) as warehouse:
        with pytest.raises(StoreMisconfigured, match="not a cluster's name"):
            await migrate(warehouse, cluster="x'; DROP DATABASE p")
