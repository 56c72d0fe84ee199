"""Cost as work grows: events, partitions, tenants, and a table that is large already."""

from collections.abc import Callable

from bench.ground import Ground, new_home
from bench.processes import Group
from bench.report import Cell, Chart, Section, Table
from bench.rounds import measure
from bench.sections.worker import drain, fill
from bench.sides import start_ours
from bench.use import Use
from bench.warehouse import Warehouse

SIZE = 100
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


def run(use: Use) -> Section:
    """Vary one thing at a time; each line of the tables is one start of the whole system."""
    sample = use.scaled(300_000, 30_000)
    vary: dict[str, Callable[[], dict[int, Figures]]] = {
        "events": lambda: {
            count: _one(use, count)
            for count in use.scaled((10_000, 100_000, 1_000_000, 10_000_000), (10_000, 50_000))
        },
        "partitions": lambda: {
            count: _one(use, sample, partitions=count) for count in use.scaled((1, 4, 16, 64), (1, 16))
        },
        "tenants": lambda: {
            count: _one(use, sample, tenants=count) for count in use.scaled((1, 100, 10_000), (1, 100))
        },
        "rows": lambda: {
            rows: _one(use, sample, stored=rows)
            for rows in use.scaled((1_000_000, 100_000_000), (1_000_000, 2_000_000))
        },
    }
    return section({NAMES.get(each, each): vary[each]() for each in use.grow}, sample)


def _one(use: Use, events: int, *, partitions: int = 8, tenants: int = 1, stored: int = 0) -> Figures:
    """Measure gateway and worker once, on a system of its own."""
    with (
        new_home() as home,
        Ground.start(home, partitions=partitions, tenants=tenants) as ground,
        Group(home / "log") as group,
    ):
        side = start_ours(ground, group, server=use.server, processes=use.processes)
        warehouse = Warehouse.start(ground, group)
        gateway = measure(ground, use.load, side, SIZE, use.scaled(8.0, 2.0))
        drain(warehouse, 1, gateway.landed)
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


def section(varied: dict[str, dict[int, Figures]], sample: int) -> Section:
    """Make a table and two lines of the chart for each thing that was varied."""
    return Section(
        name=f"growth by {', '.join(varied)}",  # runs of other parts do not replace it on the page
        title=f"Cost as work grows: {', '.join(varied)}",
        figures={"varied": varied},
        tables=[_table(name, of) for name, of in varied.items()],
        charts=[
            Chart(
                f"growth-{name.replace(' ', '-')}",
                f"Events a second by {name}",
                name,
                "events/s",
                {
                    "gateway": _line(of, "gateway_events_s"),
                    "one worker": _line(of, "worker_events_s"),
                },
            )
            for name, of in varied.items()
        ],
        notes=[
            f"Each line is a fresh system, measured once: requests of {SIZE} events, one worker. "
            f"Where events are not what is varied, {sample:,} wait for the worker.",
            "Flat lines mean that the cost of an event does not depend on what is varied. Rows stored before "
            "are copies of events with ids of their own, received over the 90 days before.",
        ],
    )


def _table(name: str, of: dict[int, Figures]) -> Table:
    rows: list[list[Cell]] = [[count, *(figures[each] for each in COLUMNS)] for count, figures in of.items()]
    return Table([name, *COLUMNS.values()], rows, f"By {name}")


def _line(of: dict[int, Figures], figure: str) -> list[tuple[float, float]]:
    return [(float(count), figures[figure]) for count, figures in of.items()]
