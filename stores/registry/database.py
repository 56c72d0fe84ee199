"""One engine for SQLite or Postgres: bounded waits, transactions, and errors that callers know."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
from sqlalchemy import URL, Executable, Row, event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from schemas.settings import Settings, SettingsError
from stores.base import KEYS_MAX, StoreError, StoreMisconfigured, StoreUnavailable
from stores.registry.errors import DRIVER_ERRORS, store_error

READ_DEADLINE_S = 2.0
"""For the gateway's look-ups: longer than a pause, shorter than a caller's patience."""

WRITE_DEADLINE_S = 10.0
"""For a batch of 10,000 claims on a busy database."""

LOCK_WAIT_S = 5.0
"""How long a write to SQLite waits for another process's; readers never wait."""

POOL_SIZE = 2

SESSION_S = 30.0
"""A session with Postgres is renewed when it is older. A server that is told to stop may wait until its last
client has gone, and let nobody in meanwhile: an idle worker must not keep it, and us, in that state."""

AnyRow = Row[*tuple[Any, ...]]
Result = TypeVar("Result")
Work = Callable[[AsyncConnection], Awaitable[Result]]


class Database:
    """Runs work on pooled connections; a broken one is replaced before it is used again."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.is_postgres = engine.dialect.name == "postgresql"
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT") if self.is_postgres else engine
        self._abandoned: set[asyncio.Task[Any]] = set()
        self._renewing: asyncio.TimerHandle | None = None

    async def read(self, statement: Executable, params: Mapping[str, Any] | None = None) -> Sequence[AnyRow]:
        """Run one SELECT. Raises StoreUnavailable (after 2 s at most) and StoreMisconfigured."""

        async def fetch(connection: AsyncConnection) -> Sequence[AnyRow]:
            return (await connection.execute(statement, params)).all()

        return await self.single(fetch, deadline_s=READ_DEADLINE_S)

    async def lookup(
        self, statement: Executable, params: Mapping[str, Any] | None = None
    ) -> Sequence[AnyRow]:
        """Read for a process that must serve on whatever happens: raises nothing but StoreUnavailable."""
        try:
            return await self.read(statement, params)
        except StoreMisconfigured as error:
            raise StoreUnavailable(str(error)) from None

    async def lookup_all(self, statement: Executable, keys: Sequence[Any]) -> Sequence[AnyRow]:
        """Look many keys up, for a `statement` that has them as the expanding parameter `keys`."""
        rows: list[AnyRow] = []
        for start in range(0, len(keys), KEYS_MAX):
            some = list(keys[start : start + KEYS_MAX])
            # Each number of keys is a statement that is prepared by itself: only powers of two are sent.
            some += some[-1:] * ((1 << (len(some) - 1).bit_length()) - len(some))
            rows += await self.lookup(statement, {"keys": some})
        return rows

    async def single(self, work: Work[Result], *, deadline_s: float = WRITE_DEADLINE_S) -> Result:
        """Run `work` without a transaction around it: each of its statements stands for itself."""

        async def run() -> Result:
            async with self._single.connect() as connection:
                return await work(connection)

        return await self._within(deadline_s, run())

    async def write(self, work: Work[Result], *, deadline_s: float = WRITE_DEADLINE_S) -> Result:
        """Run `work` in one transaction. After StoreUnavailable it is unknown whether it took effect."""

        async def run() -> Result:
            async with self.engine.begin() as connection:
                if not self.is_postgres:
                    # Asking for the write lock up front waits for it; upgrading a read lock fails at once.
                    await connection.exec_driver_sql("BEGIN IMMEDIATE")
                return await work(connection)

        return await self._within(deadline_s, run())

    async def _within(self, deadline_s: float, work: Awaitable[Result]) -> Result:
        """Await `work`, but never beyond the deadline.

        Cancelling is not enough: a driver whose server is frozen waits again while it cleans up. So the
        work runs as a task that is left to end by itself.
        """
        task = asyncio.ensure_future(work)
        self._abandoned.add(task)
        task.add_done_callback(self._ended)
        if self.is_postgres and self._renewing is None:
            self._renewing = asyncio.get_running_loop().call_later(SESSION_S, self._renew)
        try:
            await asyncio.wait({task}, timeout=deadline_s)
        finally:
            if not task.done():
                task.cancel()
        if not task.done():
            raise StoreUnavailable(f"the registry did not answer within {deadline_s:g} s")
        try:
            return task.result()
        except DRIVER_ERRORS as error:
            known = store_error(error)
            if known is None:
                raise
            raise known from None  # its message says why; the driver's own trace is 60 frames

    def _renew(self) -> None:
        self._renewing = None
        task = asyncio.create_task(self._use_all())
        self._abandoned.add(task)
        task.add_done_callback(self._ended)

    async def _use_all(self) -> None:
        """Use each pooled session in turn: one that is too old is replaced, or at least let go."""
        for _ in range(POOL_SIZE):
            with contextlib.suppress(StoreError):
                await self.read(text("SELECT 1"))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.discard(task)
        if not task.cancelled():
            task.exception()  # seen: asyncio need not log that nobody asked

    async def close(self) -> None:
        """Close every connection; what is still running gets two seconds to end."""
        if self._renewing is not None:
            self._renewing.cancel()
        if self._abandoned:
            await asyncio.wait(set(self._abandoned), timeout=READ_DEADLINE_S)
        with contextlib.suppress(*DRIVER_ERRORS):
            async with asyncio.timeout(READ_DEADLINE_S):  # saying goodbye to a silent server waits
                await self.engine.dispose()


def open_database(settings: Settings, *, lock_wait_s: float = LOCK_WAIT_S) -> Database:
    """Make the engine; nothing is connected yet. Raises SettingsError naming `registry_url`."""
    url = settings.registry_url
    if url == "sqlite:":
        return Database(_sqlite(Path(settings.home) / "registry.db", lock_wait_s))
    if url.startswith(("postgresql://", "postgres://")):
        return Database(_postgres(url))
    raise SettingsError(
        "PENSTOCK_REGISTRY_URL is not usable: it is `sqlite:` or `postgresql://user:password@host/database`"
    )


def _sqlite(path: Path, lock_wait_s: float) -> AsyncEngine:
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        # isolation_level None: we say BEGIN ourselves, the driver never does.
        connect_args={"timeout": lock_wait_s, "isolation_level": None},
        pool_size=POOL_SIZE,
        max_overflow=2,
        pool_timeout=READ_DEADLINE_S,
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        # A claim that is lost with the power would let a duplicate in.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    return engine


def _postgres(url: str) -> AsyncEngine:
    try:
        for host in urlsplit(url).netloc.rpartition("@")[2].split(","):
            urlsplit(f"//{host}").port  # noqa: B018 - it raises
    except ValueError as error:
        raise SettingsError(f"PENSTOCK_REGISTRY_URL is not usable: {error}") from None
    # asyncpg reads the address itself: sslmode, sslrootcert, several hosts, as libpq would.
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=partial(
            asyncpg.connect,
            url,
            timeout=READ_DEADLINE_S,
            # No other one here: a pooler in front of Postgres refuses those it does not know.
            server_settings={"application_name": "penstock"},
        ),
        pool_pre_ping=True,
        pool_recycle=int(SESSION_S),
        pool_size=POOL_SIZE,
        max_overflow=6,
        pool_timeout=READ_DEADLINE_S,
        hide_parameters=True,
    )
