"""One client of the embedded ClickHouse: its greeting, its queries, its rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from types import SimpleNamespace
from typing import Any

from clickhouse_driver import Client as DriverClient
from clickhouse_driver.streams.native import BlockInputStream

from deploy.dev.clickhouse import wire
from deploy.dev.clickhouse.engine import LABEL, SELECT_S_MAX, Engine, EngineError, Session, new_label
from deploy.dev.clickhouse.limits import Limits
from deploy.dev.clickhouse.statements import Insert, as_insert, is_select, labelled_kill, without_format

HELLO_S_MAX = 10
IDLE_S_MAX = 3600

_IMPORTANT = 1
_UNKNOWN_PACKET = 99
_NO_SUCH_COLUMN = 16
_UNKNOWN_SETTING = 115
_CANCELLED = 394
_NOT_IMPLEMENTED = 48
_NOT_ENOUGH_SPACE = 243


@dataclass(frozen=True)
class Query:
    """What a query packet says."""

    label: str
    sql: str
    settings: dict[str, str]
    compressed: bool


class Client:
    """Serves one connection until the client leaves. Runs in a thread of its own."""

    def __init__(self, sock: socket, engine: Engine, limits: Limits) -> None:
        self._socket = sock
        self._engine = engine
        self._limits = limits
        self._reader = wire.Reader(sock)
        self._writer = wire.Writer(sock)
        self._database = ""
        self._blocks = BlockInputStream(self._reader, _driver_context())

    def serve(self) -> None:
        """Return when the client has gone. Raises ProtocolError, EOFError or OSError when it misbehaves."""
        self._socket.settimeout(HELLO_S_MAX)
        if self._reader.varint() != wire.CLIENT_HELLO:
            raise wire.ProtocolError("not a ClickHouse client")
        session = self._engine.session()
        try:
            if self._greet(session):
                self._socket.settimeout(IDLE_S_MAX)
                self._converse(session)
        finally:
            session.close()

    def _greet(self, session: Session) -> bool:
        reader, writer = self._reader, self._writer
        reader.text()  # the client's name
        reader.varint(), reader.varint()
        revision = reader.varint()
        self._database, _user, _password = reader.text(), reader.text(), reader.text()
        try:
            if revision < wire.REVISION:
                raise EngineError(_NOT_IMPLEMENTED, f"clients below revision {wire.REVISION} are not served")
            if self._database:
                session.use(self._database)
        except EngineError as error:
            self._refuse(error)
            return False
        major, minor, patch = self._engine.version
        writer.varint(wire.HELLO)
        writer.text("ClickHouse")
        writer.varint(major)
        writer.varint(minor)
        writer.varint(wire.REVISION)
        writer.text("UTC")
        writer.text("embedded")
        writer.varint(patch)
        writer.flush()
        return True

    def _converse(self, session: Session) -> None:
        while True:
            kind = self._first_of_packet()
            if kind is None:
                return
            if kind == wire.CLIENT_PING:
                self._writer.varint(wire.PONG)
                self._writer.flush()
            elif kind == wire.CLIENT_QUERY:
                self._answer(session)
            elif kind != wire.CLIENT_CANCEL:  # a cancel that came too late is no error
                raise wire.ProtocolError(f"unexpected packet {kind}")

    def _first_of_packet(self) -> int | None:
        try:
            return self._reader.varint()
        except EOFError:
            return None

    def _answer(self, session: Session) -> None:
        try:
            query = self._read_query()
            with self._limits.statement(read_only=_is_read_only(query)):
                if _is_read_only(query):
                    with self._read_only_session() as own:
                        self._execute(own, query)
                else:
                    self._execute(session, query)
            self._writer.varint(wire.END_OF_STREAM)
            self._writer.flush()
        except EngineError as error:
            self._refuse(error)

    @contextmanager
    def _read_only_session(self) -> Iterator[Session]:
        """`readonly` cannot be taken back, so such a query gets a connection of its own."""
        own = self._engine.session()
        try:
            if self._database:
                own.use(self._database)
            yield own
        finally:
            own.close()

    def _refuse(self, error: EngineError) -> None:
        self._writer.exception(error.code, "DB::Exception", f"DB::Exception: {error}")
        self._writer.flush()

    def _read_query(self) -> Query:
        """Read the whole packet before anything is said against it, so that the next one is found."""
        reader = self._reader
        label = reader.text() or new_label()
        self._skip_client_info()
        settings, unknown = self._read_settings()
        reader.varint()  # the stage: always the whole query
        compressed = bool(reader.varint())
        sql = without_format(reader.text(), self._engine.formats)
        external = 0
        while self._read_block(compressed) is not None:
            external += 1
        if external:
            raise EngineError(_NOT_IMPLEMENTED, "external tables are not supported")
        if unknown:
            raise EngineError(_UNKNOWN_SETTING, f"Unknown setting {unknown!r}")
        settings["log_comment"] = label
        if is_select(sql):
            settings.setdefault("max_execution_time", str(SELECT_S_MAX))
        return Query(label, labelled_kill(sql, LABEL), settings, compressed)

    def _skip_client_info(self) -> None:
        reader = self._reader
        if reader.read_one() == 0:
            return
        reader.text(), reader.text(), reader.text()  # initial user, query id and address
        if reader.read_one() != 1:
            raise wire.ProtocolError("only TCP clients are served")
        reader.text(), reader.text(), reader.text()  # system user, host, client
        reader.varint(), reader.varint(), reader.varint()
        reader.text()  # quota key
        reader.varint()

    def _read_settings(self) -> tuple[dict[str, str], str]:
        """Return the settings, and one that is unknown though important; others are passed over."""
        settings: dict[str, str] = {}
        unknown = ""
        while name := self._reader.text():
            flags, value = self._reader.varint(), self._reader.text()
            if name in self._engine.settings:
                settings[name] = value
            elif flags & _IMPORTANT:
                unknown = name
        return settings, unknown

    def _execute(self, session: Session, query: Query) -> None:
        session.apply(query.settings)
        if (insert := as_insert(query.sql)) is not None:
            self._insert(session, query, insert)
        elif is_select(query.sql):
            self._select(session, query)
        elif block := session.run(query.sql):
            self._writer.block(block, compressed=query.compressed)

    def _select(self, session: Session, query: Query) -> None:
        # A client reads the names from a first block without rows. Brackets and a line of its own: the
        # statement may end in a comment.
        header = session.columns(f"({query.sql.rstrip().rstrip(';')}\n)")
        self._writer.block(wire.header_block(header), compressed=query.compressed)
        with self._limits.watched(self._socket, query.label) as watch:
            try:
                for block in session.stream(query.sql):
                    self._writer.block(block, compressed=query.compressed)
                    self._writer.flush()
            except EngineError as error:
                if not (error.code == _CANCELLED and watch.cancelled):
                    raise

    def _insert(self, session: Session, query: Query, insert: Insert) -> None:
        columns = session.columns(insert.table)
        if insert.columns:
            kinds = dict(columns)
            if missing := [name for name in insert.columns if name not in kinds]:
                raise EngineError(_NO_SUCH_COLUMN, f"No such column {missing[0]} in table {insert.table}")
            columns = [(name, kinds[name]) for name in insert.columns]
        self._writer.block(wire.header_block(columns), compressed=query.compressed)
        self._writer.flush()
        path = self._engine.incoming()
        try:
            rows = self._receive_rows(path, query.compressed)
            if rows:
                session.insert(insert.target, insert.settings, path, rows)
        finally:
            path.unlink(missing_ok=True)

    def _receive_rows(self, path: Path, compressed: bool) -> int:
        """Write the client's blocks to a file; return the rows, once the client has said that it is all."""
        rows = 0
        full: OSError | None = None
        with path.open("wb", buffering=0) as file:
            while (block := self._read_block(compressed)) is not None:
                native, count = block
                try:
                    file.write(native)
                except OSError as error:
                    full = error  # the rest is read all the same: the client is still sending
                rows += count
        if full is not None:
            raise EngineError(_NOT_ENOUGH_SPACE, f"Cannot keep the rows: {full.strerror}")
        return rows

    def _read_block(self, compressed: bool) -> tuple[bytes, int] | None:
        """Return the next data packet as a native block with its rows; None for the empty one that ends."""
        if (kind := self._reader.varint()) != wire.CLIENT_DATA:
            raise wire.ProtocolError(f"unexpected packet {kind} among data")
        self._reader.text()  # the name of an external table
        if compressed:
            data = self._reader.frame()
        else:
            # Only a reader of every type can tell where a block ends.
            self._reader.start_tee()
            self._blocks.read()
            data = self._reader.stop_tee()
        native, columns, rows = wire.split_block(data)
        return (native, rows) if columns else None


def _is_read_only(query: Query) -> bool:
    return query.settings.get("readonly", "0") not in ("0", "")


def _driver_context() -> Any:
    context = DriverClient("127.0.0.1", settings={"strings_as_bytes": True}).connection.context
    context.server_info = SimpleNamespace(used_revision=wire.REVISION, get_timezone=lambda: "UTC")
    return context
