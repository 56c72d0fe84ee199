"""The embedded ClickHouse as a server: what it survives, and what it gives back to whom."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from clickhouse_driver import Client
from clickhouse_driver.block import ColumnOrientedBlock
from clickhouse_driver.errors import ServerException

from schemas.rows import EVENTS, LANDING, columns, event_row
from schemas.settings import PARENT_FD
from schemas.topics import RAW, Partition
from stores.base import StoreUnavailable
from tests.contract.warehouse_rows import event
from tests.embedded_clickhouse import ROOT, EmbeddedClickHouse

UNCOMPRESSED = [False, True]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    """A server that these tests may kill."""
    own = EmbeddedClickHouse(tmp_path_factory.mktemp("own") / "server")
    own.start()
    asyncio.run(own.migrate())
    yield own
    own.kill()


def client(server: EmbeddedClickHouse, **options: Any) -> Client:
    return Client("127.0.0.1", server.port, database="penstock", **options)


def fails(code: int, opened: Client, sql: str, **options: Any) -> str:
    with pytest.raises(ServerException) as refused:
        opened.execute(sql, **options)
    assert refused.value.code == code
    return str(refused.value.message)


async def test_what_was_acknowledged_outlives_kill_9(server: EmbeddedClickHouse) -> None:
    acknowledged: list[int] = []
    partition = Partition(RAW, 900)

    async def load(first: int) -> None:
        async with server.warehouse() as warehouse:
            for start in range(first, first + 100_000, 50):
                rows = [event_row(event(start + n)) for n in range(50)]
                block = columns(partition, 1, range(start, start + 50), rows)
                try:
                    await warehouse.insert(LANDING[EVENTS], block, token=str(start), query_id=f"k{start}")
                except StoreUnavailable:
                    return
                acknowledged.extend(range(start, start + 50))

    async def kill() -> None:
        while len(acknowledged) < 500:
            await asyncio.sleep(0.01)
        server.kill()

    await asyncio.gather(load(0), load(1_000_000), kill())
    server.start()
    async with server.warehouse() as warehouse:
        rows = await warehouse.query("SELECT ko, count() AS n FROM events WHERE kp = 900 GROUP BY ko")
    stored = {row["ko"]: row["n"] for row in rows}
    assert set(acknowledged) <= set(stored)
    assert set(stored.values()) == {1}
    # At most the block that was on its way, of each of the two.
    assert len(stored) <= len(acknowledged) + 100


@pytest.mark.parametrize("compression", UNCOMPRESSED)
def test_a_client_that_leaves_amid_an_insert_stores_nothing(
    server: EmbeddedClickHouse, compression: bool
) -> None:
    other = client(server)
    other.execute("CREATE OR REPLACE TABLE half (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
    leaving = client(server, compression=compression)
    leaving.establish_connection({})
    leaving.connection.send_query("INSERT INTO half VALUES")
    leaving.connection.send_external_tables(None)
    sample = leaving.receive_sample_block()
    data = [list(range(1000)), ["x"] * 1000]
    leaving.connection.send_data(ColumnOrientedBlock(sample.columns_with_types, data))
    leaving.disconnect()
    assert other.execute("SELECT count() FROM half") == [(0,)]
    other.execute("INSERT INTO half VALUES", [(1, "y")])
    assert other.execute("SELECT * FROM half") == [(1, "y")]


GARBAGE = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "half a greeting": b"\x00",
    "an endless number": b"\x00" + b"\xff" * 12,
    "an endless name": b"\x00\x03abc\x01\x01\xff\xff\xff\x0f\x03\xff\xff\xff",
    "noise": bytes(range(255, -1, -1)) * 64,
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_ends_only_its_own_connection(server: EmbeddedClickHouse, kind: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw, suppress(ConnectionError):
        raw.sendall(GARBAGE[kind])
        raw.shutdown(socket.SHUT_WR)
        while raw.recv(4096):
            pass
    assert client(server).execute("SELECT 1") == [(1,)]


def test_a_damaged_frame_is_refused(server: EmbeddedClickHouse) -> None:
    other = client(server)
    other.execute("CREATE OR REPLACE TABLE damaged (a UInt64) ENGINE = MergeTree ORDER BY a")
    broken = client(server, compression=True)
    broken.establish_connection({})
    broken.connection.send_query("INSERT INTO damaged VALUES")
    broken.connection.send_external_tables(None)
    sample = broken.receive_sample_block()
    broken.connection.block_out.get_compressed_hash = lambda data: 1
    broken.connection.send_data(ColumnOrientedBlock(sample.columns_with_types, [[1, 2, 3]]))
    with pytest.raises((EOFError, OSError)):
        broken.receive_end_of_insert_query()
    assert other.execute("SELECT count() FROM damaged") == [(0,)]


@pytest.mark.parametrize("compression", UNCOMPRESSED)
def test_both_ways_of_sending_carry_every_type(server: EmbeddedClickHouse, compression: bool) -> None:
    opened = client(server, compression=compression, settings={"strings_as_bytes": True})
    kinds = {
        "n": ("UInt64", 2**64 - 1),
        "s": ("String", b"\xff\x00bytes"),
        "fs": ("FixedString(3)", b"abc"),
        "ln": ("LowCardinality(Nullable(String))", b"x"),
        "a": ("Array(Array(Nullable(Int8)))", [[1, None], []]),
        "m": ("Map(String, Array(UInt8))", {b"k": [1, 2]}),
        "t": ("Tuple(x Int8, y Nullable(String))", (1, None)),
        "e": ("Enum16('x' = 300)", "x"),
        "u": ("UUID", uuid4()),
    }
    opened.execute("DROP TABLE IF EXISTS every")
    listed = ", ".join(f"{name} {kind}" for name, (kind, _) in kinds.items())
    opened.execute(f"CREATE TABLE every ({listed}, z UInt8 MATERIALIZED 3) ENGINE = MergeTree ORDER BY n")
    row = tuple(value for _, value in kinds.values())
    opened.execute("INSERT INTO every VALUES", [row, row])
    assert opened.execute("SELECT * FROM every") == [row, row]
    opened.execute('INSERT INTO penstock.every (`s`, "n") VALUES', [(b"1", 2)])
    assert opened.execute("SELECT s, n, z FROM every WHERE n = 2") == [(b"1", 2, 3)]
    rows, described = opened.execute("SELECT n FROM every WHERE 0", with_column_types=True)
    assert (rows, described) == ([], [("n", "UInt64")])
    assert len(opened.execute("SELECT number FROM numbers(200000) FORMAT JSON")) == 200_000


def test_errors_carry_the_engine_s_code(server: EmbeddedClickHouse) -> None:
    opened = client(server)
    fails(62, opened, "SELEC 1")
    fails(60, opened, "INSERT INTO nowhere VALUES", params=[(1,)])
    fails(16, opened, "INSERT INTO events_in_1 (nothing) VALUES", params=[(1,)])
    fails(395, opened, "SELECT throwIf(number = 70000) FROM numbers(100000)")
    fails(115, client(server, settings_is_important=True), "SELECT 1", settings={"no_such_setting": 1})
    fails(81, Client("127.0.0.1", server.port, database="missing"), "SELECT 1")
    fails(159, opened, "SELECT count() FROM numbers(1000000000000)", settings={"max_execution_time": 1})
    assert opened.execute("SELECT 1") == [(1,)]


def test_settings_hold_for_one_query(server: EmbeddedClickHouse) -> None:
    opened = client(server)
    asked = "SELECT getSetting('max_threads'), getSetting('max_block_size')"
    before = opened.execute(asked)
    assert opened.execute(asked, settings={"max_threads": 2, "max_block_size": 77}) == [(2, 77)]
    assert opened.execute(asked) == before
    with pytest.raises(ServerException):
        opened.execute(asked, settings={"max_block_size": 78, "max_threads": "many"})
    assert opened.execute(asked) == before
    fails(164, opened, "CREATE TABLE mine (a UInt8) ENGINE = Memory", settings={"readonly": 1})
    fails(164, opened, "INSERT INTO half VALUES", params=[(1, "y")], settings={"readonly": 1})
    opened.execute("CREATE OR REPLACE TABLE mine (a UInt8) ENGINE = Memory")


def test_a_query_is_killed_by_its_id(server: EmbeddedClickHouse) -> None:
    running = client(server)
    running.establish_connection({})
    running.connection.send_query("SELECT count() FROM numbers(1000000000000)", query_id="it's mine-1")
    running.connection.send_external_tables(None)
    killed = client(server)
    while not killed.execute("KILL QUERY WHERE query_id LIKE 'it\\'s mine-%' SYNC"):
        pass
    with pytest.raises(ServerException) as ended:
        running.receive_result()
    assert ended.value.code == 394


@pytest.mark.parametrize("compression", UNCOMPRESSED)
def test_an_insert_that_is_still_coming_is_killed(server: EmbeddedClickHouse, compression: bool) -> None:
    """What a frozen worker had begun to send must not land after its successor has counted the rows."""
    other = client(server)
    other.execute("CREATE OR REPLACE TABLE frozen (a UInt64) ENGINE = MergeTree ORDER BY a")
    frozen = client(server, compression=compression)
    frozen.establish_connection({})
    frozen.connection.send_query("INSERT INTO frozen VALUES", query_id="penstock/1/events.raw/0/5-9/x")
    frozen.connection.send_external_tables(None)
    sample = frozen.receive_sample_block()
    frozen.connection.send_data(ColumnOrientedBlock(sample.columns_with_types, [[1, 2, 3]]))
    killed = other.execute("KILL QUERY WHERE startsWith(query_id, 'penstock/1/events.raw/0/') SYNC")
    assert [row[:2] for row in killed] == [("finished", "penstock/1/events.raw/0/5-9/x")]
    assert other.execute("KILL QUERY WHERE startsWith(query_id, 'penstock/1/') SYNC") == []
    with pytest.raises((EOFError, OSError, ServerException)):
        finish(frozen)
    assert other.execute("SELECT count() FROM frozen") == [(0,)]


def finish(opened: Client) -> None:
    opened.connection.send_data(ColumnOrientedBlock())
    opened.receive_end_of_insert_query()


def test_a_query_ends_with_its_client(server: EmbeddedClickHouse) -> None:
    other = client(server)
    running = (
        "SELECT count() FROM system.processes WHERE query LIKE '%1000000000001%' AND query NOT LIKE '%LIKE%'"
    )
    leaving = client(server)
    leaving.establish_connection({})
    leaving.connection.send_query("SELECT count() FROM numbers(1000000000001)")
    leaving.connection.send_external_tables(None)
    while other.execute(running) == [(0,)]:
        pass
    leaving.disconnect()
    while other.execute(running) != [(0,)]:
        pass


def test_one_server_per_directory(server: EmbeddedClickHouse) -> None:
    refused = run("--port", "0", "--path", str(server.path))
    assert refused.returncode == 1
    assert f"in use by another server, process {server.pid}" in refused.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_it_serves_loopback_only(tmp_path: Path, host: str) -> None:
    refused = run("--host", host, "--port", "0", "--path", str(tmp_path / "data"))
    assert refused.returncode == 2
    assert "loopback" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_a_directory_that_the_engine_would_misread(tmp_path: Path) -> None:
    refused = run("--port", "0", "--path", str(tmp_path / "da{1,2}ta"))
    assert refused.returncode == 1
    assert "must not hold '{'" in refused.stderr


def test_sigterm_ends_it_cleanly_and_leftovers_go_at_start(server: EmbeddedClickHouse) -> None:
    idle = client(server)
    assert idle.execute("SELECT 1") == [(1,)]
    assert server.stop() == 0
    left = server.path / "incoming" / "7.native"
    left.write_bytes(b"half a block")
    server.start()
    assert not left.exists()
    assert idle.execute("SELECT 1") == [(1,)]


def test_it_ends_with_its_supervisor(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    own = EmbeddedClickHouse(tmp_path / "server")
    own.start(fds=(reading,), env={PARENT_FD: str(reading), "PENSTOCK_HOME": str(tmp_path)})
    os.close(reading)
    os.close(writing)
    assert own.wait() == 0


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "deploy.dev.clickhouse", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
