"""The engine: chDB on one directory, one connection per client."""

import itertools
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

from chdb import ChdbError
from chdb.state.sqlitelike import Connection

SELECT_S_MAX = 60
"""A SELECT that sets no max_execution_time ends after this."""

_CHDB_ERRORS = (RuntimeError, ChdbError)
_CODE = re.compile(r"Code: (\d+)\. DB::Exception: ")
_VERSION = re.compile(r" \(version [^)]*\)\.?")
_UNSAFE_PATH = re.compile(r"[^\w\-./ +,:@~=]")

# Merges and queries of a development machine: small caches, and an end before the system's.
_SERVER = {
    "mark_cache_size": 64 * 2**20,
    "index_mark_cache_size": 8 * 2**20,
    "query_condition_cache_size": 8 * 2**20,
    "max_server_memory_usage": 3 * 2**30,
}
# One thread per query leaves a core to the inserts. Type names are for machines here.
_PROFILE = {
    "max_threads": "1",
    "max_insert_threads": "1",
    "max_memory_usage": str(2**30),
    "print_pretty_type_names": "0",
}


class EngineError(Exception):
    """What the engine said, with its code: 395 FUNCTION_THROW_IF_VALUE_IS_NON_ZERO and so on."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Engine:
    """The data directory, open. Only one process at a time may have it."""

    def __init__(self, path: Path) -> None:
        """Open `path`, which exists. Raises EngineError for a name that the engine would misread."""
        self._data = path.absolute() / "data"
        self._incoming = path.absolute() / "incoming"
        if unsafe := _UNSAFE_PATH.search(str(path.absolute())):
            # Such a path would be a pattern for INFILE, or an option of the engine.
            raise EngineError(36, f"the directory's name must not hold {unsafe.group()!r}: {path.absolute()}")
        self._numbers = itertools.count()
        self._incoming.mkdir(exist_ok=True)
        for left in self._incoming.iterdir():
            left.unlink()
        self._killer_lock = threading.Lock()
        self._killer = self.connect()
        rows = _native_call(self._killer, "SELECT version()", "TabSeparated").decode().strip()
        self.version = tuple(int(part) for part in rows.split(".")[:3])
        self.settings = frozenset(self._words("SELECT name FROM system.settings"))
        self.formats = frozenset(self._words("SELECT upper(name) FROM system.formats"))

    def session(self) -> "Session":
        """Return a connection of its own: settings, current database, one query at a time."""
        return Session(self.connect)

    def incoming(self) -> Path:
        """Return the name of a new file for rows on their way in."""
        return self._incoming / f"{next(self._numbers)}.native"

    def kill(self, label: str) -> None:
        """Cancel the query that runs under `label`, if it still does."""
        sql = f"KILL QUERY WHERE Settings['log_comment'] = {quote(label)} ASYNC"
        with self._killer_lock:
            _native_call(self._killer, sql, "Null")

    def connect(self) -> Connection:
        """Open one more connection, with the profile's settings."""
        options = "&".join(f"{name}={value}" for name, value in _SERVER.items())
        connection = Connection(f"{self._data}?{options}")
        _native_call(connection, _set(_PROFILE), "Null")
        return connection

    def _words(self, sql: str) -> list[str]:
        return _native_call(self._killer, sql, "TabSeparated").decode().split()


class Session:
    """One client's connection to the engine. Not for use by several threads."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._connection = connect()
        self._database = ""
        self._applied: dict[str, str] = dict(_PROFILE)

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def use(self, database: str) -> None:
        """Make `database` the current one. Raises EngineError (81) if there is none of that name."""
        self.run("USE `" + database.replace("\\", "\\\\").replace("`", "\\`") + "`")
        self._database = database

    def apply(self, settings: Mapping[str, str]) -> None:
        """Make `settings` those of the next query, and no others. Raises EngineError."""
        wanted = {**_PROFILE, **settings}
        changed = {name: value for name, value in wanted.items() if self._applied.get(name) != value}
        gone = self._applied.keys() - wanted.keys()
        if not changed and not gone:
            return
        try:
            self.run(_set(changed, gone))
        except EngineError:
            self._renew()  # which of them took effect is unknown
            raise
        self._applied = wanted

    def _renew(self) -> None:
        self._connection.close()
        self._connection = self._connect()
        self._applied = dict(_PROFILE)
        if self._database:
            self.use(self._database)

    def run(self, sql: str) -> bytes:
        """Run a statement; return its rows, if it has any, as one native block."""
        return _native_call(self._connection, sql, "Native")

    def numbers(self, sql: str) -> list[int]:
        """Run a SELECT of one column of numbers."""
        return [int(word) for word in _native_call(self._connection, sql, "TabSeparated").split()]

    def stream(self, sql: str) -> Iterator[bytes]:
        """Run a SELECT; yield its native blocks as they come."""
        try:
            stream = self._connection.send_query(sql, "Native")
        except _CHDB_ERRORS as error:
            raise _translated(error) from None
        try:
            while (chunk := _fetched(stream)) is not None:
                yield chunk
        finally:
            stream.cancel()  # type: ignore[no-untyped-call]

    def columns(self, table: str) -> list[tuple[str, str]]:
        """Return names and types of the columns of a table, or of a query in brackets; no computed ones."""
        lines = _native_call(self._connection, f"DESCRIBE TABLE {table}", "TSVRaw").decode().splitlines()
        fields = [line.split("\t") for line in lines]
        return [
            (name, kind) for name, kind, default, *_ in fields if default not in ("MATERIALIZED", "ALIAS")
        ]

    def insert(self, target: str, settings: str, path: Path, rows: int) -> None:
        """Insert `rows` rows in native blocks from a file.

        `target` is the statement up to its data, `settings` its SETTINGS clause or "". The engine's own
        insert stream (send_insert) is not used: its end hides the errors of a view.
        """
        sql = f"{target} FROM INFILE {quote(str(path))} {settings} FORMAT Native"
        try:
            taken = int(self._connection.query(sql, "Null").rows_read())
        except _CHDB_ERRORS as error:
            raise _translated(error) from None
        if taken != rows:
            raise EngineError(1001, f"the engine took {taken} rows of {rows}")


def quote(text: str) -> str:
    """Return `text` as a string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def new_label() -> str:
    """Return a label for a query whose client gave it no id."""
    return str(uuid4())


def _set(values: Mapping[str, str], defaults: Iterable[str] = ()) -> str:
    parts = [f"{name} = {quote(value)}" for name, value in values.items()]
    return "SET " + ", ".join(parts + [f"{name} = DEFAULT" for name in defaults])


def _native_call(connection: Connection, sql: str, fmt: str) -> bytes:
    try:
        result = connection.query(sql, fmt)
        return bytes(result.bytes() or b"")
    except _CHDB_ERRORS as error:
        raise _translated(error) from None


def _fetched(stream: object) -> bytes | None:
    try:
        chunk = stream.fetch()  # type: ignore[attr-defined]
    except _CHDB_ERRORS as error:
        raise _translated(error) from None
    return None if chunk is None else bytes(chunk.bytes())


def _translated(error: Exception) -> EngineError:
    """Turn "… Code: 62. DB::Exception: … (NAME) (version …)" into its code and its message."""
    text = str(error)
    found = list(_CODE.finditer(text))
    if not found:
        return EngineError(1001, text)
    return EngineError(int(found[0][1]), _VERSION.sub("", text[found[-1].end() :]).strip())
