"""What the stores promise, whichever engine is behind them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from schemas.tenants import Tenant, TenantRef, Token

KEYS_MAX = 256
"""Looked up in one statement of the registry: reading its rows holds the event loop for some 3 ms."""


class StoreError(Exception):
    """The root of what a store raises.

    - StoreUnavailable: the engine is down, overloaded or too slow; try again later
    - InsertRefused: the engine will never take this block as it is; split it
    - QueryRefused: the statement is wrong, not allowed, or over its limits
    - StoreMisconfigured: no retry can help; stop and say so
    """


class StoreUnavailable(StoreError):
    """Whether the statement took effect is unknown."""


class InsertRefused(StoreError):
    """A row in the block cannot be stored."""


class QueryRefused(StoreError):
    """The caller's statement is at fault; the message may be shown to an operator."""


class StoreMisconfigured(StoreError):
    """Wrong credentials, a missing table, a schema that is too new."""


class Warehouse(Protocol):
    """ClickHouse. Use as an async context manager; calls may run side by side."""

    async def insert(
        self, table: str, columns: Mapping[str, Sequence[Any]], *, token: str, query_id: str
    ) -> None:
        """Insert one block (columns of equal length, in the table's types).

        `token` makes a repeat of the same block a no-op where the engine remembers it; it proves
        nothing after a crash. Raises InsertRefused, StoreUnavailable, StoreMisconfigured.
        """

    async def query(
        self, sql: str, params: Mapping[str, Any] | None = None, *, threads_max: int | None = None
    ) -> list[dict[str, Any]]:
        """Run a read with `%(name)s` parameters, escaped here. Raises QueryRefused, StoreUnavailable.

        `threads_max` is how many threads of the engine it may use, if not as many as any query.
        """

    async def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns no rows (DDL, mutations). Raises as `query`."""

    async def probe(self) -> None:
        """Return if the engine answers, else raise StoreUnavailable."""


class Registry(Protocol):
    """Tenants, tokens and products, some in one call: what is not found is left out.

    Every call raises StoreUnavailable while the database is down.
    """

    async def find_tokens(self, secrets_sha256: Sequence[bytes]) -> Mapping[bytes, Token]:
        """Look credentials up by the hash of their secret; revoked and expired ones are found as such."""

    async def find_tenants(self, refs: Sequence[TenantRef]) -> Mapping[TenantRef, Tenant]:
        """Look tenants up, active or not."""

    async def find_products(
        self, pairs: Sequence[tuple[int, int]]
    ) -> Mapping[tuple[int, int], Literal[True]]:
        """Tell which pairs (tenant id, product id) name a product of that tenant."""

    async def probe(self) -> None:
        """Return if the database answers, else raise StoreUnavailable."""


class Limit(Struct, frozen=True):
    """One bucket to take a permit from: `requests` per `period_ms`, burst = requests (GCRA)."""

    key: str
    requests: int
    period_ms: int


class Permit(Struct, frozen=True):
    """The answer for the tightest of the limits asked for; times are in ms from now."""

    allowed: bool
    limit: int
    remaining: int
    retry_after_ms: int
    reset_ms: int


class KeyStore(Protocol):
    """Rate limits and velocities. Holds nothing that correctness needs; it may forget at any time."""

    async def take(self, limits: Sequence[Limit]) -> Permit:
        """Take one permit from every limit, or from none if one refuses. Raises StoreUnavailable."""

    async def count(self, counts: Mapping[str, int], keep_ms: int) -> Sequence[int]:
        """Add each number (>= 0) to the counter of that name and return what it then holds, in order.

        A counter begins at 0 and is kept for `keep_ms` from its first addition on, or longer; 0 only
        reads. One round trip, however many. Raises StoreUnavailable.
        """

    async def probe(self) -> None:
        """Return if the store answers, else raise StoreUnavailable."""
