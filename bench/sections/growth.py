"""Cost as work grows: events, partitions, tenants, and a table that is large already."""

import time
from collections.abc import Callable
from dataclasses import replace

from bench.ground import Ground, new_home
from bench.processes import Group
from bench.report import Cell, Chart, Section, Table
from bench.rounds import CONNECTIONS, load_arguments, measure, run_load
from bench.sections.worker import drain, fill
from bench.sides import Side, start_ours
from bench.use import Use
from bench.warehouse import Warehouse

SIZE = 100
BODIES_MIN = 8
WARM_ROUNDS = 5
"""Each meets all tokens once, over new connections: so nearly every process comes to know every one."""

WARM_REQUESTS = 1_000
MERGED_S = 600.0
COPIES = 50
FILL_ROWS = 100_000
"""A statement of five times as many took over the gibibyte that a query may have."""

SPREAD_S = 90 * 24 * 3_600
"""Over which the rows that were there before are spread."""

COLUMNS = {
    "gateway_events_s": "gateway events/s",
    "gateway_cpu_s": "gateway CPU s per 1M",
    "worker_events_s": "worker events/s",
    "worker_cpu_s": "worker CPU s per 1M",
    "clickhouse_cpu_s": "ClickHouse CPU s per 1M",
}

NAMES = {"rows": "rows stored before"}

Figures = dict[str, float]


def run(use: Use, what: str) -> Section:
    """Vary one thing; each line of the table is one start of the whole system."""
    sample = use.scaled(300_000, 30_000)
    counts: dict[str, tuple[int, ...]] = {
        "events": use.scaled((10_000, 100_000, 1_000_000, 10_000_000), (10_000, 50_000)),
        "partitions": use.scaled((1, 4, 16, 64), (1, 16)),
        "tenants": use.scaled((1, 100, 10_000), (1, 100)),
        "rows": use.scaled((1_000_000, 100_000_000), (1_000_000, 2_000_000)),
    }
    vary: dict[str, Callable[[int], Figures]] = {
        "events": lambda count: _one(use, count),
        "partitions": lambda count: _one(use, sample, partitions=count),
        "tenants": lambda count: _one(use, sample, tenants=count),
        "rows": lambda count: _one(use, sample, stored=count),
    }
    return section(NAMES.get(what, what), {count: vary[what](count) for count in counts[what]}, sample)


def _one(use: Use, events: int, *, partitions: int = 8, tenants: int = 1, stored: int = 0) -> Figures:
    """Measure gateway and worker once, on a system of its own."""
    with (
        new_home() as home,
        Ground.start(home, partitions=partitions, tenants=tenants) as ground,
        Group(home / "log") as group,
    ):
        side = start_ours(ground, group, server=use.server, processes=use.processes)
        bodies = max(BODIES_MIN, tenants // CONNECTIONS[SIZE] + 1)  # each is of one tenant
        side = replace(side, load=(*side.load, "-bodies", str(bodies)))
        warehouse = Warehouse.start(ground, group)
        fill(use, side, SIZE * WARM_REQUESTS)
        for _ in range(WARM_ROUNDS if tenants > 1 else 0):
            meet(use, side, tenants)
        gateway = measure(ground, use.load, side, SIZE, use.scaled(8.0, 2.0))
        drain(warehouse, 1, ground.records())
        if stored:
            fill_table(use, warehouse, stored)
        fill(use, side, events)
        worker = drain(warehouse, 1, events)
    use.say(
        f"growth: {events:,} events, {partitions} partitions, {tenants:,} tenants, {stored:,} rows before: "
        f"gateway {gateway.figures['events_s']:,.0f} events/s, worker {worker['events_s']:,.0f} events/s"
    )
    return {
        "gateway_events_s": gateway.figures["events_s"],
        "gateway_cpu_s": gateway.figures["cpu_s_per_million_events"],
        "worker_events_s": worker["events_s"],
        "worker_cpu_s": worker["worker_cpu_s_per_million_events"],
        "clickhouse_cpu_s": worker["clickhouse_cpu_s_per_million_events"],
    }


def meet(use: Use, side: Side, tenants: int) -> None:
    """Have the gateway meet every token, with requests of one event."""
    more = ("-bodies", str(tenants // CONNECTIONS[1] + 1), "-requests", str(max(tenants, CONNECTIONS[1])))
    run_load(use.load, load_arguments(side, 1, 3_600, *more))


def fill_table(use: Use, warehouse: Warehouse, rows: int) -> None:
    """Copy stored events, each with an id and coordinates of its own, until the table has that many more."""
    for begun in range(0, rows, FILL_ROWS):
        warehouse.execute(
            "INSERT INTO events SELECT some.* REPLACE (generateUUIDv4() AS event_id, "
            f"'bench.filled' AS topic, {begun} + rowNumberInAllBlocks() AS ko, received_at - "
            f"toIntervalSecond(({begun} + rowNumberInAllBlocks()) % {SPREAD_S}) AS received_at) "
            f"FROM (SELECT * FROM events WHERE topic = 'events.raw' LIMIT {FILL_ROWS // COPIES}) AS some "
            f"CROSS JOIN numbers({COPIES}) AS times"
        )
        if begun % 10_000_000 == 0:
            use.say(f"growth: {begun:,} of {rows:,} rows are in the table")
    use.say("growth: waiting until their parts are merged")
    until = time.monotonic() + MERGED_S
    while warehouse.query("SELECT count() AS n FROM system.merges")[0]["n"] and time.monotonic() < until:
        time.sleep(1.0)


def section(what: str, of: dict[int, Figures], sample: int) -> Section:
    """Make a table and two lines of a chart."""
    rows: list[list[Cell]] = [[count, *(figures[each] for each in COLUMNS)] for count, figures in of.items()]
    lines = {"gateway": _line(of, "gateway_events_s"), "one worker": _line(of, "worker_events_s")}
    return Section(
        name=f"growth by {what}",
        title=f"Cost as work grows: {what}",
        figures={"varied": {what: of}},
        tables=[Table([what, *COLUMNS.values()], rows)],
        charts=[
            Chart(f"growth-{what.replace(' ', '-')}", f"Events a second by {what}", what, "events/s", lines)
        ],
        notes=[
            f"Each line is a fresh system, measured once, after it has met every token: requests of {SIZE} "
            f"events, one worker. Where events are not what is varied, {sample:,} wait for the worker. "
            "100,000 devices, shared out among the tenants.",
            "Flat lines mean that the cost of an event does not depend on what is varied. Rows stored before "
            "are copies of events with ids of their own, received over the 90 days before; it is measured "
            f"when the engine has merged them, or {MERGED_S / 60:.0f} minutes later.",
        ],
    )


def _line(of: dict[int, Figures], figure: str) -> list[tuple[float, float]]:
    return [(float(count), figures[figure]) for count, figures in of.items()]
