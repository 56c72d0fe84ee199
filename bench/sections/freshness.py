"""Freshness: offered load against the time from received to queryable, up to where it breaks."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.ground import Ground, new_home
from bench.processes import Group, Running, cpu_s
from bench.report import Chart, Section, Table, number
from bench.rounds import load_arguments, run_load
from bench.sides import Side, start_ours
from bench.use import Use
from bench.warehouse import Warehouse

REQUEST_EVENTS = 100
OFFERED = (500, 1_000, 2_000, 4_000, 8_000, 12_000, 17_000, 24_000, 30_000, 40_000)
"""17,000 a second are a million a minute."""
WAIT_S = 60.0
LOOK_S = 0.5
BROKEN_P99_S = 10.0
KEPT_UP_MIN = 0.98
HELD_P99_S = 5.0
"""Loads whose rows were no later are offered once more, for longer."""

COLUMNS = {
    "offered_s": "offered events/s",
    "seconds": "for s",
    "acked_s": "acknowledged events/s",
    "fresh_p50_s": "freshness p50 s",
    "fresh_p99_s": "freshness p99 s",
    "request_p99_ms": "request p99 ms",
    "cores": "cores of gateway and workers",
    "missing": "not yet queryable",
}

Step = dict[str, float]


def run(use: Use) -> Section:
    """Offer more and more, to the production shape and to the embedded one."""
    seconds, held_s = use.scaled(30.0, 6.0), use.scaled(300.0, 6.0)
    by_shape: dict[str, list[Step]] = {}
    with new_home() as home, Ground.start(home) as ground, Group(home / "log") as group:
        side = start_ours(ground, group, server=use.server, processes=use.processes)
        warehouse = Warehouse.start(ground, group)
        system = System(side, warehouse, warehouse.start_workers(2))
        by_shape["production shape"] = offer_more(use, "production", system, seconds, held_s)
    with new_home() as home, Ground.embedded(home) as ground, Group(home / "log") as group:
        side = start_ours(ground, group, server=use.server, processes=1)
        warehouse = Warehouse.start(ground, group)
        system = System(side, warehouse, warehouse.start_workers(1))
        by_shape["embedded default"] = offer_more(use, "embedded", system, seconds)
    return section(by_shape, seconds)


@dataclass(frozen=True)
class System:
    """What is offered events, and what makes rows of them."""

    side: Side
    warehouse: Warehouse
    workers: Sequence[Running]

    def cpu_s(self) -> float:
        """Return the CPU seconds of gateways and workers so far."""
        return self.side.cpu_s() + cpu_s([worker.pid for worker in self.workers])


def offer_more(use: Use, shape: str, system: System, seconds: float, held_s: float = 0.0) -> list[Step]:
    """Raise the offer step by step until it breaks, then hold the most that keeps up; return all steps."""
    steps: list[Step] = []
    for offered in OFFERED:
        steps.append(_say(use, shape, offer(use, system, offered, seconds)))
        if broken(steps[-1]):
            break
    fresh = [step["offered_s"] for step in steps if not broken(step) and step["fresh_p99_s"] < HELD_P99_S]
    for held in sorted(fresh, reverse=True) if held_s else ():
        steps.append(_say(use, shape, offer(use, system, int(held), held_s)))
        if not broken(steps[-1]):
            break
    return steps


def _say(use: Use, shape: str, step: Step) -> Step:
    use.say(
        f"freshness, {shape}: {step['offered_s']:,.0f} events/s offered for {step['seconds']:.0f} s, "
        f"{step['acked_s']:,.0f} acknowledged, p50 {step['fresh_p50_s']:.2f} s, "
        f"p99 {step['fresh_p99_s']:.2f} s"
    )
    return step


def broken(step: Step) -> bool:
    """Tell whether a step got less than it offered, or rows came too late or not at all in time."""
    late = step["fresh_p99_s"] > BROKEN_P99_S or step["missing"] > 0
    return late or step["acked_s"] < step["offered_s"] * KEPT_UP_MIN


def offer(use: Use, system: System, offered: int, seconds: float) -> Step:
    """Offer events at a rate, wait until all are queryable, and ask how late each row was."""
    warehouse = system.warehouse
    before, began_ms = warehouse.events(), int(time.time() * 1000)
    used_s = system.cpu_s()
    rate = str(offered / REQUEST_EVENTS)
    report = run_load(use.load, load_arguments(system.side, REQUEST_EVENTS, seconds, "-rate", rate))
    deadline = time.monotonic() + WAIT_S
    while warehouse.events() < before + report["acked_events"] and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    used_s = system.cpu_s() - used_s
    missing = before + report["acked_events"] - warehouse.events()
    (late,) = warehouse.query(
        "SELECT quantiles(0.5, 0.99)(dateDiff('millisecond', received_at, stored_at)) AS ms FROM events "
        f"WHERE received_at >= fromUnixTimestamp64Milli({began_ms})"
    )
    return {
        "offered_s": float(offered),
        "seconds": seconds,
        "acked_s": report["acked_events"] / max(report["seconds"], seconds),
        "fresh_p50_s": late["ms"][0] / 1000,
        "fresh_p99_s": late["ms"][1] / 1000,
        "request_p99_ms": report["latency_ms"]["p99"],
        "cores": used_s / max(report["seconds"], seconds),
        "missing": float(max(0, missing)),
    }


def section(by_shape: dict[str, list[Step]], seconds: float) -> Section:
    """Make a table a shape, and one chart."""
    lines = {
        f"{shape} {mark}": [
            (step["offered_s"], step[f"fresh_{mark}_s"])
            for step in steps
            if not broken(step) and step["seconds"] == seconds
        ]
        for shape, steps in by_shape.items()
        for mark in ("p50", "p99")
    }
    return Section(
        name="freshness",
        title="Freshness",
        figures={"by_shape": by_shape},
        tables=[
            Table(
                [*COLUMNS.values(), ""],
                [
                    [*(number(step[name]) for name in COLUMNS), "broken" if broken(step) else "kept up"]
                    for step in steps
                ],
                shape,
            )
            for shape, steps in by_shape.items()
        ],
        charts=[
            Chart("freshness", "Received to queryable", "offered events/s", "seconds", _filled(lines)),
        ],
        notes=[
            f"Requests of {REQUEST_EVENTS} events fall due at a fixed rate for {seconds:g} s a step, whether "
            "or not earlier ones were answered; the wait for a free connection is in a request's latency. "
            f"The production shape's last lines hold loads whose p99 was under {HELD_P99_S:g} s, the highest "
            "first, until one keeps up.",
            "Freshness of a row is `stored_at` (set by ClickHouse in the insert that makes it queryable) "
            "less `received_at` (set by the gateway), over all rows of the step. `cores` is all CPU that "
            "gateways and workers took for the step's events, by the seconds in which these came.",
            f"A step is broken when less than {KEPT_UP_MIN:.0%} of the offer is acknowledged in its time, "
            f"p99 is over {BROKEN_P99_S:g} s, or rows are missing {WAIT_S:g} s after its end. All processes "
            "share this machine's cores.",
        ],
    )


def _filled(lines: dict[str, list[tuple[float, float]]]) -> dict[str, list[tuple[float, float]]]:
    return {name: line for name, line in lines.items() if line}
