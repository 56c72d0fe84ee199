"""One client of the embedded ClickHouse: its greeting, its queries, its rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from socket import SocketIO, socket

from deploy.dev.clickhouse import wire
from deploy.dev.clickhouse.engine import Engine, EngineError, Session
from deploy.dev.clickhouse.kills import as_kill, matching
from deploy.dev.clickhouse.limits import Limits, Statement
from deploy.dev.clickhouse.packets import Incoming, Query, columns_of
from deploy.dev.clickhouse.statements import Insert, as_insert, is_select, reaches_out

HELLO_S_MAX = 10
IDLE_S_MAX = 3600

_NO_SUCH_COLUMN = 16
_NOT_IMPLEMENTED = 48
_NOT_ENOUGH_SPACE = 243
_READONLY = 164
_CANCELLED = 394


class Client:
    """Serves one connection until the client leaves. Runs in a thread of its own."""

    def __init__(self, sock: socket, engine: Engine, limits: Limits) -> None:
        self._socket = sock
        self._engine = engine
        self._limits = limits
        self._reader = wire.Reader(BufferedReader(SocketIO(sock, "r"), 1 << 16))
        self._writer = wire.Writer(sock)
        self._incoming = Incoming(self._reader, engine)
        self._database = ""

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
            kind = self._reader.varint()
            if kind == wire.CLIENT_PING:
                self._writer.varint(wire.PONG)
                self._writer.flush()
            elif kind == wire.CLIENT_QUERY:
                self._answer(session)
            elif kind != wire.CLIENT_CANCEL:  # a cancel that came too late is no error
                raise wire.ProtocolError(f"unexpected packet {kind}")

    def _answer(self, session: Session) -> None:
        try:
            query = self._incoming.query()
            with self._limits.statement(query, self._socket) as statement:
                if query.read_only:
                    if reaches_out(query.sql):
                        raise EngineError(_READONLY, "Cannot look outside of the database in readonly mode")
                    with self._read_only_session() as own:
                        self._execute(own, statement)
                else:
                    self._execute(session, statement)
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

    def _execute(self, session: Session, statement: Statement) -> None:
        query = statement.query
        session.apply(query.settings)
        if (insert := as_insert(query.sql)) is not None:
            self._insert(session, statement, insert)
        elif is_select(query.sql):
            self._select(session, statement)
        elif (kill := as_kill(query.sql)) is not None:
            found, answer = matching(session, kill, self._limits.others(statement))
            if kill.mode != "TEST":
                self._limits.kill(found, wait=kill.mode == "SYNC")
            self._send_whole(answer, query)
        else:
            self._send_whole(session.run(query.sql), query)

    def _send_whole(self, block: bytes, query: Query) -> None:
        """Send a result that is one block, or none at all."""
        if block:
            self._writer.block(wire.header_block(columns_of(block)), compressed=query.compressed)
            self._writer.block(block, compressed=query.compressed)

    def _select(self, session: Session, statement: Statement) -> None:
        query = statement.query
        # A client reads the names from a first block without rows. Brackets and a line of its own: the
        # statement may end in a comment.
        header = session.columns(f"({query.sql.rstrip().rstrip(';')}\n)")
        self._writer.block(wire.header_block(header), compressed=query.compressed)
        statement.streaming = True
        statement.go_on()
        try:
            for block in session.stream(query.sql):
                self._writer.block(block, compressed=query.compressed)
                self._writer.flush()
                statement.go_on()
        except EngineError as error:
            if not (error.code == _CANCELLED and statement.left):
                raise

    def _insert(self, session: Session, statement: Statement, insert: Insert) -> None:
        query = statement.query
        columns = _chosen(session.columns(insert.table), insert)
        self._writer.block(wire.header_block(columns), compressed=query.compressed)
        self._writer.flush()
        path = self._engine.incoming()
        try:
            statement.receiving = True
            rows = self._receive_rows(path, query.compressed)
            statement.receiving = False
            statement.go_on()
            if rows:
                session.insert(insert.target, insert.settings, path, rows)
        finally:
            path.unlink(missing_ok=True)

    def _receive_rows(self, path: Path, compressed: bool) -> int:
        """Write the client's blocks to a file; return the rows, once the client has said that it is all."""
        rows = 0
        whole = True
        with path.open("wb", buffering=0) as file:
            while (block := self._incoming.block(compressed)) is not None:
                native, count = block
                rows += count
                try:
                    whole = whole and file.write(native) == len(native)
                except OSError:
                    whole = False
        if not whole:  # said only now: the client was still sending
            raise EngineError(_NOT_ENOUGH_SPACE, "Cannot keep the rows: the disk is full")
        return rows


def _chosen(columns: list[tuple[str, str]], insert: Insert) -> list[tuple[str, str]]:
    """Return the columns that the statement names, in its order; all where it names none."""
    if not insert.columns:
        return columns
    kinds = dict(columns)
    if missing := [name for name in insert.columns if name not in kinds]:
        raise EngineError(_NO_SUCH_COLUMN, f"No such column {missing[0]} in table {insert.table}")
    return [(name, kinds[name]) for name in insert.columns]
