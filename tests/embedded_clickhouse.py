"""The embedded ClickHouse as a process that a test can kill."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from schemas.settings import Settings
from stores.migrate import migrate
from stores.warehouse import ClickHouse, open_warehouse

ROOT = Path(__file__).parents[1]
START_S_MAX = 30


class EmbeddedClickHouse:
    """A server on a free loopback port, with its data below `path`; `url` names a database on it."""

    def __init__(self, path: Path, *, database: str = "penstock") -> None:
        self.path = path
        self.database = database
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return self.url_of(self.database)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def url_of(self, database: str) -> str:
        return f"clickhouse://127.0.0.1:{self.port}/{database}"

    def start(self, *, fds: Sequence[int] = (), env: Mapping[str, str] | None = None) -> None:
        """Return when it serves; after the first time on the same port."""
        log = (self.path.parent / f"{self.path.name}.log").open("ab")
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "deploy.dev.clickhouse",
                "--port",
                str(self.port),
                "--path",
                self.path,
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            pass_fds=fds,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        log.close()
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_S_MAX)
        assert ready, "the embedded ClickHouse did not start in time"
        line = self._process.stdout.readline()
        assert " serves " in line, f"the embedded ClickHouse did not start: {line}"
        self.port = int(line.rpartition(":")[2])

    def kill(self) -> None:
        """kill -9."""
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """End it as a supervisor does; return its status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Return its status when it has ended."""
        assert self._process is not None
        status = self._process.wait(timeout=20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return status

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def warehouse(self, database: str | None = None) -> ClickHouse:
        return open_warehouse(Settings(clickhouse_url=self.url_of(database or self.database)))

    async def migrate(self, database: str | None = None) -> None:
        """Make the database and its tables."""
        async with self.warehouse(database) as warehouse:
            await migrate(warehouse, cluster="")
