"""ClickHouse over its native protocol: clickhouse-driver in a few threads, one client in each.

The driver blocks and is not thread-safe, so every thread keeps a client of its own. After any error the
connection is dropped: what is left in it is unknown.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

from clickhouse_driver import Client

from stores.base import StoreUnavailable
from stores.warehouse import errors, values
from stores.warehouse.address import Address

T = TypeVar("T")

# What it warns of comes back to the caller as an exception.
logging.getLogger("clickhouse_driver").setLevel(logging.ERROR)

CONNECT_S = 10
ANSWER_S = 30
STATEMENT_S = 25  # an insert or a query ends on the server before we stop waiting for it
KEEPALIVE = (30, 10, 3)  # idle s, interval s, probes

CONNECTIONS_MAX = 8

# Each named: a server's own defaults differ between versions, and one block per insert with a token that
# also holds for the views is what exactly-once stands on. A server passes over what it does not know.
_INSERT = {
    "async_insert": 0,
    "deduplicate_insert": "enable",
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "max_insert_threads": 1,
    "max_execution_time": STATEMENT_S,
    "insert_block_size": values.ROWS_MAX,  # the driver's own: all rows in one block
}

# readonly=1 refuses writes, settings and table functions that reach files or other hosts.
_QUERY = {
    "readonly": 1,
    "max_execution_time": STATEMENT_S,
    "max_result_rows": 1_000_000,
    "max_result_bytes": 512 * 2**20,
}

# Schema changes and mutations are waited for, on every replica.
_EXECUTE = {"mutations_sync": 2, "alter_sync": 2, "max_execution_time": STATEMENT_S}


class ClickHouse:
    """The one implementation of `Warehouse`. Use as an async context manager; connects when first used."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._pool = ThreadPoolExecutor(CONNECTIONS_MAX, thread_name_prefix="clickhouse")
        self._local = threading.local()
        self._clients: list[Client] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait for what is running, then disconnect."""
        await asyncio.to_thread(self._pool.shutdown)
        for client in self._clients:
            client.disconnect()

    async def insert(
        self, table: str, columns: Mapping[str, Sequence[Any]], *, token: str, query_id: str
    ) -> None:
        """Insert one block. Raises InsertRefused, StoreUnavailable, StoreMisconfigured."""
        statement = values.insert_statement(table, list(columns))
        settings = {**_INSERT, "insert_deduplication_token": token}

        def run(client: Client) -> None:
            # Copied and checked in the thread: a block may have a hundred thousand rows.
            block = values.block(columns)
            client.execute(statement, block, columnar=True, settings=settings, query_id=query_id)

        await self._run(run, errors.of_insert)

    async def query(
        self, sql: str, params: Mapping[str, Any] | None = None, *, threads_max: int | None = None
    ) -> list[dict[str, Any]]:
        """Run a read, which the server holds to reading. Raises QueryRefused, StoreUnavailable."""
        checked = None if params is None else values.params(params)
        settings = _QUERY if threads_max is None else {**_QUERY, "max_threads": threads_max}

        def run(client: Client) -> tuple[list[tuple[Any, ...]], list[tuple[str, str]]]:
            answer = client.execute(sql, checked, with_column_types=True, settings=settings)
            # A statement that yields nothing at all comes back without columns.
            return answer if isinstance(answer, tuple) else ([], [])

        rows, columns = await self._run(run, errors.of_query)
        names = [name for name, _ in columns]
        return [dict(zip(names, row, strict=True)) for row in rows]

    async def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """Run a statement for its effect. Raises QueryRefused, StoreUnavailable, StoreMisconfigured."""
        checked = None if params is None else values.params(params)
        await self._run(lambda client: client.execute(sql, checked, settings=_EXECUTE), errors.of_query)

    async def probe(self) -> None:
        """Return if the server answers, else raise StoreUnavailable or StoreMisconfigured."""
        await self._run(lambda client: client.execute("SELECT 1"), errors.of_query)

    async def _run(
        self, call: Callable[[Client], T], classify: Callable[[Exception, object], Exception]
    ) -> T:
        def in_thread() -> T:
            client = self._client()
            try:
                return call(client)
            except errors.DRIVER_ERRORS as error:
                client.disconnect()
                raise classify(error, self.address) from error

        try:
            future = self._pool.submit(in_thread)
        except RuntimeError:
            raise StoreUnavailable("the warehouse adapter is closed") from None
        return await asyncio.wrap_future(future)

    def _client(self) -> Client:
        client: Client | None = getattr(self._local, "client", None)
        if client is None:
            client = Client(
                **self.address.driver_options(),
                connect_timeout=CONNECT_S,
                send_receive_timeout=ANSWER_S,
                tcp_keepalive=KEEPALIVE,
                compression="lz4",
                client_name="penstock",
            )
            self._local.client = client
            self._clients.append(client)
        return client
