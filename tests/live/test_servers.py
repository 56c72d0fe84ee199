"""The servers of `make stack`: they serve, survive a kill, and keep what they should."""

import shutil
import subprocess
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from deploy.dev import postgres as postgres_server
from deploy.dev.server import free_ports
from tests.live.servers import LiveServer


async def test_postgres_keeps_rows_over_a_kill(postgres: LiveServer) -> None:
    connection = await asyncpg.connect(postgres.url)
    await connection.execute("CREATE TABLE kept (n int)")
    await connection.execute("INSERT INTO kept VALUES (7)")
    postgres.kill()
    postgres.start()
    connection = await asyncpg.connect(postgres.url)
    assert await connection.fetchval("SELECT n FROM kept") == 7
    await connection.execute("DROP TABLE kept")
    await connection.close()


async def test_postgres_wants_the_password(postgres: LiveServer) -> None:
    host = postgres.url.split("@")[1]
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://penstock:wrong@{host}")


async def test_postgres_starts_where_its_user_cannot_look(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (port,) = free_ports(1)
    home = closed / "postgres"
    server = LiveServer(lambda: postgres_server.prepare(home, port), tmp_path / "postgres.log")
    try:
        server.start()
        connection = await asyncpg.connect(server.url)
        assert await connection.fetchval("SELECT current_database()") == "penstock"
        await connection.close()
    finally:
        server.stop()
    state = home.resolve()
    shutil.rmtree(closed)
    if state.exists():  # behind a link: it goes when the next one is made
        closed.mkdir(mode=0o700)
        postgres_server._home(home, "postgres")
        assert not state.exists()
        shutil.rmtree(home.resolve())


async def test_redis_answers_and_comes_back(redis: LiveServer) -> None:
    client = Redis.from_url(redis.url)
    await client.set("a", "1")
    assert await client.get("a") == b"1"
    redis.kill()
    redis.start()
    await client.aclose()
    client = Redis.from_url(redis.url)
    assert await client.get("a") is None
    await client.aclose()


def test_the_pid_is_the_servers_own(kafka: LiveServer, postgres: LiveServer, redis: LiveServer) -> None:
    for server, program in ((kafka, "java"), (postgres, "postgres"), (redis, "redis-server")):
        shown = subprocess.run(
            ["ps", "-o", "command=", "-p", str(server.pid)], check=True, capture_output=True, text=True
        )
        assert Path(shown.stdout.split()[0]).name == program
