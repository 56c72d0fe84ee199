import sqlite3
from pathlib import Path

import pytest

from bus.base import BusUnavailable
from bus.log import database
from bus.log.database import Database
from bus.log.lock import FairLock


def make(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (x)")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "x.db"


def count(file: Database) -> int:
    with file.reading() as connection:
        found: int = connection.execute("SELECT count(*) FROM t").fetchone()[0]
        return found


def insert(file: Database) -> None:
    with file.writing(wait_s=1) as connection:
        connection.execute("INSERT INTO t VALUES (zeroblob(1000))")


def test_a_commit_is_durable_and_seen_by_others(path: Path) -> None:
    one, two = Database(path, make), Database(path, make)
    insert(one)
    insert(two)
    assert count(one) == count(two) == 2
    with one.reading() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_nothing_of_a_transaction_that_failed_stays(path: Path) -> None:
    file = Database(path, make)
    insert(file)

    def fail() -> None:
        with file.writing(wait_s=1) as connection:
            connection.execute("DELETE FROM t")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert count(file) == 1
    insert(file)


def test_a_lock_that_is_not_had_in_time_is_unavailable_and_reading_goes_on(path: Path) -> None:
    file = Database(path, make)
    insert(file)
    with FairLock(path).held(wait_s=1):
        with pytest.raises(BusUnavailable, match="another process holds the lock"), file.writing(wait_s=0.01):
            pass
        assert count(file) == 1
        assert count(Database(path, make)) == 1
    insert(file)


def test_a_file_that_is_no_database_is_unavailable(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database at all, whatever its name may say" * 100)
    with pytest.raises(BusUnavailable, match=r"x\.db: file is not a database"):
        count(Database(path, make))


def test_a_damaged_file_is_unavailable(path: Path) -> None:
    file = Database(path, make)
    for _ in range(50):
        insert(file)
    file.close()
    with path.open("r+b") as damaged:
        damaged.seek(4096)
        damaged.write(b"\xff" * 20_000)
    with pytest.raises(BusUnavailable):
        count(Database(path, make))


def test_a_file_of_another_version_is_not_touched(path: Path) -> None:
    Database(path, make).close()
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(BusUnavailable, match="format 99; this version reads 1"):
        count(Database(path, make))


def test_a_file_that_was_replaced_is_opened_anew(path: Path) -> None:
    file = Database(path, make)
    insert(file)
    for part in path.parent.iterdir():
        part.unlink()
    insert(file)
    assert count(Database(path, make)) == 1


def test_the_wal_is_moved_into_the_file_and_starts_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "WAL_BYTES", 100_000)
    file = Database(path, make)
    for _ in range(200):
        insert(file)
        file.wrote(8192)
        file.checkpoint(wait_s=1)
    wal = path.with_name("x.db-wal").stat().st_size
    assert wal < 500_000
    assert path.stat().st_size > 100_000
    assert count(file) == 200
