"""Worker: events a second from Kafka to rows that can be queried, and the CPU of each process for it."""

import time

from bench.ground import Ground, new_home
from bench.processes import Group, cpu_s
from bench.report import Section, Table, spread
from bench.rounds import load_arguments, run_load
from bench.sides import Side, start_ours
from bench.spread import Spread
from bench.use import Use
from bench.warehouse import Warehouse

REQUEST_EVENTS = 100
LOOK_S = 0.25
STALL_S = 120.0

COLUMNS = {
    "events_s": "events/s",
    "worker_cpu_s_per_million_events": "worker CPU s per 1M",
    "clickhouse_cpu_s_per_million_events": "ClickHouse CPU s per 1M",
    "worker_cores": "worker cores",
    "clickhouse_cores": "ClickHouse cores",
}


def run(use: Use) -> Section:
    """Let Kafka fill up, then let one worker, and then two, empty it."""
    events, repetitions = use.scaled(500_000, 60_000), use.scaled(3, 1)
    taken: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    with new_home() as home, Ground.start(home) as ground, Group(home / "log") as group:
        side = start_ours(ground, group, server=use.server, processes=use.processes)
        warehouse = Warehouse.start(ground, group)
        for number in range(1, repetitions + 1):
            for workers, figures in taken.items():
                fill(use, side, events)
                figures.append(drain(warehouse, workers, events))
                use.say(
                    f"worker {number}/{repetitions}: {workers} process(es), "
                    f"{figures[-1]['events_s']:,.0f} events/s"
                )
    return section(taken, events)


def fill(use: Use, side: Side, events: int) -> None:
    """Have the gateway publish that many events. Raises RuntimeError if it takes fewer."""
    report = run_load(
        use.load, load_arguments(side, REQUEST_EVENTS, 3_600, "-requests", str(events // REQUEST_EVENTS))
    )
    if report["failed"]:
        raise RuntimeError(f"the gateway did not take all events: {report['failed']}")


def drain(warehouse: Warehouse, count: int, events: int) -> dict[str, float]:
    """Start workers, wait until `events` more are queryable, stop them; say how fast it was."""
    before, engine_cpu_s = warehouse.events(), warehouse.cpu_s()
    workers = warehouse.start_workers(count)
    pids = [worker.pid for worker in workers]
    started_cpu_s = cpu_s(pids)
    seen = [(time.monotonic(), before)]
    while seen[-1][1] < before + events:
        time.sleep(LOOK_S)
        now = warehouse.events()
        if now > seen[-1][1] or now == before:
            seen.append((time.monotonic(), now))
        if time.monotonic() - seen[-1][0] > STALL_S:
            raise RuntimeError(f"no more rows for {STALL_S:.0f} s: {now - before:,} of {events:,} are there")
    used, engine_used = cpu_s(pids) - started_cpu_s, warehouse.cpu_s() - engine_cpu_s
    warehouse.end(workers)
    began = max(at for at, rows in seen if rows == before)
    seconds = seen[-1][0] - began
    return {
        "events_s": events / seconds,
        "worker_cpu_s_per_million_events": used * 1e6 / events,
        "clickhouse_cpu_s_per_million_events": engine_used * 1e6 / events,
        "worker_cores": used / seconds,
        "clickhouse_cores": engine_used / seconds,
    }


def section(taken: dict[int, list[dict[str, float]]], events: int) -> Section:
    """Make a table by number of worker processes."""
    spreads = {
        workers: {name: Spread.of(each[name] for each in figures) for name in COLUMNS}
        for workers, figures in taken.items()
    }
    return Section(
        name="worker",
        title="Worker",
        figures={"by_processes": spreads, "events": events},
        tables=[
            Table(
                ["processes", *COLUMNS.values()],
                [[workers, *(spread(of[name]) for name in COLUMNS)] for workers, of in spreads.items()],
            )
        ],
        notes=[
            f"{events:,} events wait in Kafka when the workers start; counted from the last look at which no "
            f"row was there to the one at which all are, every {LOOK_S:g} s; "
            f"{len(taken[1])} repetition(s): median (minimum–maximum).",
            "Where worker cores are near the number of processes, the worker's own Python bounds it; where "
            "worker and ClickHouse add up to all cores, the machine does. `Stages of the worker` says where "
            "a worker's time goes.",
        ],
    )
