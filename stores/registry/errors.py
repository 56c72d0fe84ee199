"""What can go wrong with the registry, and which of the stores' errors each driver's error is.

- StoreUnavailable: down, locked, overloaded or too slow; try again later
- StoreMisconfigured: wrong credentials, no such database, a table is missing; stop and say so
- EntryRefused: the operator asked for something that may not be; the message is a sentence to show
"""

import sqlite3

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from stores.base import StoreError, StoreMisconfigured, StoreUnavailable

DRIVER_ERRORS = (
    DBAPIError,
    PoolTimeout,
    OSError,
    TimeoutError,
    sqlite3.Error,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)
"""Connecting raises what the driver raises; statements raise it wrapped by SQLAlchemy."""

# SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
_UNAVAILABLE_CLASSES = ("08", "25", "40", "53", "55", "57", "58")
_MISCONFIGURED_CLASSES = ("28", "3D", "3F", "42")
_SQLITE_UNAVAILABLE = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_IOERR",
    "SQLITE_FULL",
    "SQLITE_CANTOPEN",
    "SQLITE_READONLY",
    "SQLITE_INTERRUPT",
    "SQLITE_PROTOCOL",
    "SQLITE_NOMEM",
)
_SQLITE_MISCONFIGURED = ("SQLITE_ERROR", "SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_PERM", "SQLITE_AUTH")
_MIGRATE = "the registry lacks a table or a column: run `penstock migrate`"
_MISSING = ("42P01", "42703", "3F000")


class EntryRefused(StoreError):
    """An entry breaks a rule of the registry; nothing was written."""


def store_error(error: Exception) -> StoreError | None:
    """Return the error that callers know for one of DRIVER_ERRORS, or None: then it is a bug of ours."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause and cause.__cause__, asyncpg.ClientConfigurationError):
        return StoreMisconfigured(f"PENSTOCK_REGISTRY_URL is not usable: {cause}")
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(cause)
    state = getattr(cause, "sqlstate", None)
    if state:
        return _of_postgres(state, cause)
    if isinstance(error, DBAPIError) and not error.connection_invalidated:
        return _of_interface(cause)
    return StoreUnavailable(f"the registry cannot be reached: {_reason(cause)}")


def _of_sqlite(error: sqlite3.Error) -> StoreError | None:
    name = getattr(error, "sqlite_errorname", "")
    if not name or name.startswith(_SQLITE_UNAVAILABLE):
        return StoreUnavailable(f"the registry's SQLite file is not usable now: {error}")
    if "no such table" in str(error) or "no such column" in str(error):
        return StoreMisconfigured(_MIGRATE)
    if name.startswith(_SQLITE_MISCONFIGURED) and "syntax error" not in str(error):
        return StoreMisconfigured(f"the registry's SQLite file is not usable: {error}")
    return None


def _of_postgres(state: str, error: BaseException | None) -> StoreError | None:
    if state in _MISSING:
        return StoreMisconfigured(_MIGRATE)
    if state.startswith(_MISCONFIGURED_CLASSES) and state != "42601":  # a syntax error is ours
        return StoreMisconfigured(f"Postgres refuses the registry: {_reason(error)}")
    if state.startswith(_UNAVAILABLE_CLASSES):
        return StoreUnavailable(f"Postgres cannot serve the registry now: {_reason(error)}")
    return None


def _of_interface(error: BaseException | None) -> StoreError | None:
    # asyncpg says so of a connection that broke under a statement, without any SQLSTATE.
    text = _reason(error)
    if "connection" in text.lower():
        return StoreUnavailable(f"the registry cannot be reached: {text}")
    return None


def _reason(error: BaseException | None) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{error} (its socket, or a certificate file that PENSTOCK_REGISTRY_URL names)"
    return str(error) or type(error).__name__
