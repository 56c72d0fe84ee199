"""What a client sends: its queries, and the blocks of rows that follow them."""

from dataclasses import dataclass
from io import BytesIO
from types import SimpleNamespace
from typing import Any

from clickhouse_driver import Client as DriverClient
from clickhouse_driver.streams.native import BlockInputStream

from deploy.dev.clickhouse.engine import SELECT_S_MAX, Engine, EngineError, new_label
from deploy.dev.clickhouse.statements import is_select, without_format
from deploy.dev.clickhouse.wire import BLOCK_INFO, CLIENT_DATA, REVISION, ProtocolError, Reader, split_block

_IMPORTANT = 1
_NOT_IMPLEMENTED = 48
_UNKNOWN_SETTING = 115


@dataclass(frozen=True)
class Query:
    """What a query packet says; `label` is the client's query id, or one of ours."""

    label: str
    sql: str
    settings: dict[str, str]
    compressed: bool

    @property
    def read_only(self) -> bool:
        """The client asks that nothing but reading be allowed."""
        return self.settings.get("readonly", "0") not in ("0", "")


class Incoming:
    """Reads one client's packets after their first number. Raises ProtocolError and EOFError."""

    def __init__(self, reader: Reader, engine: Engine) -> None:
        self._reader = reader
        self._engine = engine
        self._blocks = BlockInputStream(reader, _driver_context())

    def query(self) -> Query:
        """Read a whole query packet, then raise EngineError if it asks for what is not done here."""
        reader = self._reader
        label = reader.text() or new_label()
        self._skip_client_info()
        settings, unknown = self._settings()
        reader.varint()  # the stage: always the whole query
        compressed = bool(reader.varint())
        sql = without_format(reader.text(), self._engine.formats)
        external = 0
        while self.block(compressed) is not None:
            external += 1
        if external:
            raise EngineError(_NOT_IMPLEMENTED, "external tables are not supported")
        if unknown:
            raise EngineError(_UNKNOWN_SETTING, f"Unknown setting {unknown!r}")
        settings["log_comment"] = label
        if is_select(sql):
            settings.setdefault("max_execution_time", str(SELECT_S_MAX))
        return Query(label, sql, settings, compressed)

    def block(self, compressed: bool) -> tuple[bytes, int] | None:
        """Read a data packet: a native block and its rows, or None for the empty one that ends them."""
        if (kind := self._reader.varint()) != CLIENT_DATA:
            raise ProtocolError(f"unexpected packet {kind} among data")
        self._reader.text()  # the name of an external table
        if compressed:
            data = self._reader.frame()
        else:
            # Only a reader of every type can tell where a block ends.
            self._reader.start_tee()
            self._blocks.read()
            data = self._reader.stop_tee()
        native, columns, rows = split_block(data)
        return (native, rows) if columns else None

    def _skip_client_info(self) -> None:
        reader = self._reader
        if reader.read_one() == 0:
            return
        reader.text(), reader.text(), reader.text()  # initial user, query id and address
        if reader.read_one() != 1:
            raise ProtocolError("only TCP clients are served")
        reader.text(), reader.text(), reader.text()  # system user, host, client
        reader.varint(), reader.varint(), reader.varint()
        reader.text()  # quota key
        reader.varint()

    def _settings(self) -> tuple[dict[str, str], str]:
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


def columns_of(native: bytes) -> list[tuple[str, str]]:
    """Return the names and types of a native block; it is read whole."""
    block = BlockInputStream(Reader(BytesIO(BLOCK_INFO + native)), _driver_context()).read()
    return list(block.columns_with_types)


def _driver_context() -> Any:
    context = DriverClient("127.0.0.1", settings={"strings_as_bytes": True}).connection.context
    context.server_info = SimpleNamespace(used_revision=REVISION, get_timezone=lambda: "UTC")
    return context
