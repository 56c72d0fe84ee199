"""stores/migrations: repeatable, safe for several processes at once, never backwards."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from schemas.settings import Settings
from stores.base import StoreMisconfigured
from stores.migrations import migrate_registry
from stores.registry.tables import metadata

STEPS = [
    "0001_tenants",
    "0002_event_keys",
    "0003_persons",
    "0004_segments",
    "0005_filters",
    "0006_erasures",
    "0007_newest_deliveries",
]
MIGRATE = """
import asyncio, sys
from schemas.settings import Settings
from stores.migrations import migrate_registry
print(len(asyncio.run(migrate_registry(Settings(home=sys.argv[1])))))
"""


async def test_every_step_is_taken_once(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path / "deep" / "home"))
    assert await migrate_registry(settings) == STEPS
    assert await migrate_registry(settings) == []


async def test_the_steps_make_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    await migrate_registry(Settings(home=str(tmp_path)))
    engine = create_engine(f"sqlite:///{tmp_path / 'registry.db'}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_processes_that_start_at_once(tmp_path: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, str(tmp_path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )
        for _ in range(4)
    ]
    taken = sorted(process.communicate(timeout=60)[0].strip() for process in started)
    assert [process.returncode for process in started] == [0] * 4
    assert taken == [b"0", b"0", b"0", b"%d" % len(STEPS)]


async def test_tasks_that_start_at_once(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path))
    taken = await asyncio.gather(*(migrate_registry(settings) for _ in range(6)))
    assert sorted(map(len, taken)) == [0, 0, 0, 0, 0, len(STEPS)]


async def test_a_newer_registry_is_refused(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path))
    await migrate_registry(settings)
    with sqlite3.connect(tmp_path / "registry.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_future'")
    with pytest.raises(StoreMisconfigured, match=r"newer version of Penstock .*9999_future"):
        await migrate_registry(settings)


async def test_a_step_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "registry.db") as connection:
        connection.execute("CREATE TABLE event_keys (mine INTEGER)")
    settings = Settings(home=str(tmp_path))
    with pytest.raises(StoreMisconfigured, match="already exists"):
        await migrate_registry(settings)
    with sqlite3.connect(tmp_path / "registry.db") as connection:
        tables = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        assert tables == {"event_keys"}
        connection.execute("DROP TABLE event_keys")
    assert await migrate_registry(settings) == STEPS


async def test_readers_and_a_writer_work_side_by_side(tmp_path: Path) -> None:
    await migrate_registry(Settings(home=str(tmp_path)))
    with sqlite3.connect(tmp_path / "registry.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
