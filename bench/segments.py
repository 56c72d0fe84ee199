"""How long a segment of five conditions takes over 5 million events.

`python -m bench.segments` starts an embedded ClickHouse of its own, fills it with events of 200,000
customers, ten properties each, and asks for two segments as the api does. It prints one JSON object; the goal
is under 1.5 s on 2 cores. `server_cpu_s` is what the warehouse computed for one answer. It takes 3 minutes.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from console.segments.preview import preview
from deploy.dev.plan import CODE, module
from deploy.dev.server import ServerFailed, accepts, free_ports, spawn, wait_ready
from schemas.conditions import read_segment
from schemas.settings import Settings
from stores.migrate import migrate
from stores.warehouse import ClickHouse, open_warehouse

EVENTS = 5_000_000
CUSTOMERS = 200_000
PART = 50_000
RUNS = 7
GOAL_S = 1.5
TENANT = 1
STOP_S_MAX = 60


def _did(name: str, property: str, operator: str, *value: object) -> dict[str, Any]:
    test = {"property": property, "operator": operator} | ({"value": value[0]} if value else {})
    return {"event": name, "where": test}


SEGMENTS: dict[str, dict[str, Any]] = {
    "five_on_events": {
        "all": [
            _did("Order Placed", "VIP Tier", "is", "gold") | {"count": {"operator": ">=", "value": 2}},
            _did("Order Placed", "Order Total", ">", 900),
            _did("Page Viewed", "Page", "contains", "page/17"),
            _did("Checkout Started", "Gift", "is", True),
            {"not": _did("Page Viewed", "Enrolled At", "before", "2024-01-10T00:00:00Z")},
        ]
    },
    "with_profile_and_period": {
        "all": [
            _did("Order Placed", "VIP Tier", "is", "gold") | {"period": {"last_days": 60}},
            {"event": "Subscription Cancelled", "count": {"operator": "is", "value": 0}},
            {"event": None, "where": {"field": "value", "operator": ">", "value": 450}},
            {"profile": "custom_fields.Loyalty Tier", "operator": "is", "value": "Gold"},
            {"not": {"profile": "location.countryCode", "operator": "is", "value": "US"}},
        ]
    },
}

# Numbers follow from the row's own number, so that every run asks the same data.
_EVENTS = """
INSERT INTO events (event_id, tenant_id, dialect, source, event_name, event_type, occurred_at, received_at,
    stored_at, subject, person_id, value, currency, consent, properties, retention_days, row_version, topic,
    kp, ko, inc)
SELECT
    generateUUIDv4(), %(tenant)s, 'redo', 'store',
    ['Page Viewed', 'Order Placed', 'Checkout Started', 'Subscription Cancelled'][least(h %% 5, 3) + 1],
    'custom', at, at, now64(3), toString(person), {person}, toDecimal128(h %% 500, 6), 'USD', 255,
    concat('{{"VIP Tier":"', ['bronze', 'silver', 'gold'][h %% 3 + 1],
        '","Order Total":', toString((h %% 100000) / 100),
        ',"Enrolled At":"2024-', leftPad(toString(h %% 12 + 1), 2, '0'), '-01T00:00:00Z"',
        ',"Gift":', if(h %% 7 = 0, 'true', 'false'),
        ',"Page":"/shop/page/', toString(h %% 200), '"',
        ',"Category":"', ['apparel', 'shoes', 'home'][h %% 3 + 1],
        '","Item Count":', toString(h %% 9 + 1),
        ',"Source":"mobile_app","Order Id":"ord_', toString(h %% 1000003),
        '","Plan":"', if(h %% 2 = 0, 'pro', 'annual'), '"}}'),
    400, 1, 'events.raw', 0, number, 1
FROM (
    SELECT number, cityHash64(number) AS h, cityHash64(number, 7) %% %(customers)s AS person,
        now64(3, 'UTC') - toIntervalSecond(h %% 7000000) AS at
    FROM numbers(%(start)s, %(part)s)
)"""

_FIELDS = """
INSERT INTO customer_fields (tenant_id, person_id, dialect, source, field, value, rank)
SELECT %(tenant)s, {person}, 'redo', 'store', part.1, part.2, if(part.1 = 'since', bitNot(rank), rank)
FROM (
    SELECT number AS person, bitShiftLeft(toUInt128(1775000000000), 80) AS rank, arrayJoin([
        ('since', '1775000000000'), ('email', concat('"', toString(number), '@example.com"')),
        ('firstName', '"Stewart"'), ('location.city', '"Seattle"'),
        ('location.countryCode', if(number %% 3 = 0, '"US"', '"MX"')),
        ('custom.Loyalty Tier', ['"Gold"', '"Silver"'][number %% 2 + 1])]) AS part
    FROM numbers(%(customers)s)
)"""
_PERSON = "reinterpretAsUUID(toUInt128(person) + 1)"


def main() -> None:
    """Measure, and print the figures."""
    with tempfile.TemporaryDirectory() as home, _clickhouse(Path(home)) as (url, pid):
        segments = asyncio.run(_measure(Settings(clickhouse_url=url), pid))
    result = {
        "bench": "segments",
        "events": EVENTS,
        "customers": CUSTOMERS,
        "runs": RUNS,
        "goal_s": GOAL_S,
        "segments": segments,
        "load_average": os.getloadavg()[0],
        "cores": os.cpu_count(),
    }
    print(json.dumps(result))


@contextmanager
def _clickhouse(home: Path) -> Iterator[tuple[str, int]]:
    """Run a ClickHouse; yield its address and its pid."""
    [port] = free_ports(1)
    words = ("deploy.dev.clickhouse", "--port", str(port), "--path", str(home / "clickhouse"))
    server = module("clickhouse", words, {"PYTHONPATH": str(CODE)}, lambda: accepts(port))
    log = home / "clickhouse.log"
    process = spawn(server, log)
    try:
        wait_ready(server, process, log)
        yield f"clickhouse://127.0.0.1:{port}/penstock", process.pid
    except ServerFailed as error:
        sys.exit(f"bench.segments: {error}")
    finally:
        process.send_signal(server.stop_signal)
        process.wait(STOP_S_MAX)


async def _measure(settings: Settings, pid: int) -> dict[str, Any]:
    async with open_warehouse(settings) as warehouse:
        await migrate(warehouse, cluster="")
        await _fill(warehouse)
        return {name: await _ask(warehouse, tree, pid) for name, tree in SEGMENTS.items()}


async def _fill(warehouse: ClickHouse) -> None:
    given = {"tenant": TENANT, "customers": CUSTOMERS, "part": PART}
    for start in range(0, EVENTS, PART):
        await warehouse.execute(_EVENTS.format(person=_PERSON), given | {"start": start})
    await warehouse.execute(_FIELDS.format(person=_PERSON), given)
    while (await warehouse.query("SELECT count() AS n FROM system.merges"))[0]["n"]:
        await asyncio.sleep(1)  # as a warehouse stands that is not being filled


async def _ask(warehouse: ClickHouse, tree: dict[str, Any], pid: int) -> dict[str, Any]:
    condition = read_segment(tree)
    found = await preview(warehouse, condition, TENANT)  # the first one reads from the disk
    assert 0 < found.count < CUSTOMERS
    seconds, cpu_s = [], []
    for _ in range(RUNS):
        began, used = time.perf_counter(), _cpu_s(pid)
        again = await preview(warehouse, condition, TENANT)
        seconds.append(time.perf_counter() - began)
        cpu_s.append(_cpu_s(pid) - used)
        assert again.count == found.count
    return {"found": found.count, "seconds": _spread(seconds), "server_cpu_s": _spread(cpu_s)}


def _cpu_s(pid: int) -> float:
    """Return what a process has computed so far; 0 where the system does not say so."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _spread(figures: Sequence[float]) -> dict[str, float]:
    spread = {"min": min(figures), "median": statistics.median(figures), "max": max(figures)}
    return {name: round(figure, 3) for name, figure in spread.items()}


if __name__ == "__main__":
    main()
