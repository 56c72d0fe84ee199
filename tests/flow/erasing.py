"""What the tests of erasing have in common: an eraser that waits for nobody, a log that forgets, a search."""

import asyncio
import multiprocessing
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from bus import open_bus
from bus.log.database import Database
from bus.log.retention import Retention
from bus.log.topic import make
from console.erasure import eraser, sweep
from console.erasure.crash import POINTS
from console.erasure.eraser import Eraser
from schemas import crash
from schemas.rows import LANDING
from schemas.settings import Settings
from schemas.topics import ALL
from stores.registry import Erasure, open_registry
from stores.registry.tables import metadata
from stores.warehouse import open_warehouse
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow.whole import REDO, Whole, open_whole

TABLES = (*LANDING, "customer_fields", "person_overrides")
EVERYTHING = 2**60

STORE = "/v2.2/stores/dev-store/events/bulk"
ANN = {"id": "cust-ann", "email": "ann@example.com", "phoneNumber": "+525512345678"}
ANNS = ("cust-ann", "ann@example.com", "+525512345678", "Ann's Street")
JOANN = {"id": "cust-joann", "email": "joann@example.com"}

_context = multiprocessing.get_context("forkserver")


@pytest.fixture
async def whole(
    request: pytest.FixtureRequest, clickhouse: EmbeddedClickHouse, tmp_path: Path
) -> AsyncIterator[Whole]:
    """The whole way of an event, in a database of the test file's own name."""
    name = request.path.stem.removeprefix("test_")
    async with open_whole(clickhouse, name, tmp_path, tables=TABLES) as opened:
        yield opened


def event(customer: Mapping[str, Any], name: str = "Profile Updated", **more: Any) -> dict[str, Any]:
    return {"eventName": name, "customer": dict(customer), **more}


async def send(whole: Whole, *events: Mapping[str, Any], request_id: str = "") -> None:
    headers = REDO | ({"X-Request-Id": request_id} if request_id else {})
    answer = await whole.send(STORE, {"events": events}, headers)
    assert answer.status_code == 202, answer.text


def eraser_of(whole: Whole, *, settle_s: float = 0, lease_ms: int = 60_000) -> Eraser:
    return Eraser(whole.bus, whole.use.warehouse, whole.use.registry, settle_s=settle_s, lease_ms=lease_ms)


async def request(whole: Whole, *words: str) -> str:
    """Ask for an erasure on the command line; return its id."""
    status, told, errors = await whole.penstock("person", "erase", *words, "--yes")
    assert status == 0, errors
    return str(told[-1]["erasure_id"])


async def erasure(whole: Whole, erasure_id: str) -> Erasure:
    found = await whole.use.registry.erasure(erasure_id)
    assert found is not None
    return found


async def finish(whole: Whole, erasure_id: str) -> Erasure:
    """Bring it to its certificate: the log forgets all on the way."""
    work = eraser_of(whole)
    await work.advance(erasure_id)
    assert (await erasure(whole, erasure_id)).state == "waiting_for_log"
    forget_log(whole)
    await work.advance(erasure_id)
    return await erasure(whole, erasure_id)


def forget_log(whole: Whole) -> None:
    """Let retention delete all records of all topics."""
    partitions = whole.settings.bus_partitions
    for topic in ALL:
        file = Database(Path(whole.settings.home) / "bus" / "topics" / f"{topic}.db", make(partitions))
        try:
            floors = dict.fromkeys(range(partitions), EVERYTHING)
            Retention(lambda log_id, floors=floors: floors, bytes_max=0, every_s=0).run(file)  # type: ignore[misc]
        finally:
            file.close()


async def everything(whole: Whole) -> list[str]:
    """Return every row of every table of both databases as text."""
    rows: list[str] = []
    tables = await whole.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND NOT endsWith(name, '_in_1')"
    )
    for table in tables:
        rows += [f"{table['name']} {row}" for row in await whole.query(f"SELECT * FROM {table['name']}")]
    for kept in metadata.sorted_tables:
        found = await whole.use.registry._database.read(kept.select())
        rows += [f"registry {kept.name} {tuple(row)}" for row in found]
    return rows


async def naming(whole: Whole, words: Iterable[str]) -> list[str]:
    """Return the rows of all tables that hold one of the words, and not only as the end of another one."""
    named = re.compile("|".join(rf"(?<![A-Za-z]){re.escape(word)}" for word in words))
    return [row for row in await everything(whole) if named.search(row)]


def start(use: Settings, *, crash_at: str) -> ForkServerProcess:
    """Start a process that takes one step with each open erasure, and kills itself at a point."""
    process = _context.Process(target=_work, args=(use, crash_at))
    process.start()
    return process


def _work(use: Settings, crash_at: str) -> None:
    eraser.crash_point = sweep.crash_point = crash.armed(crash_at, POINTS)  # type: ignore[attr-defined]
    asyncio.run(_step(use))


async def _step(use: Settings) -> Any:
    async with open_bus(use) as bus, open_warehouse(use) as warehouse, open_registry(use) as registry:
        failed = await Eraser(bus, warehouse, registry, settle_s=0, lease_ms=1).advance_all()
        assert failed == 0
