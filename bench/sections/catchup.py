"""Catching up: how fast a backlog goes down after ClickHouse was away, while new events keep coming."""

import subprocess
import time

from bench.ground import Ground, new_home
from bench.processes import Group
from bench.report import Section, Table
from bench.rounds import load_arguments
from bench.sides import start_ours
from bench.use import Use
from bench.warehouse import Warehouse
from schemas.topics import RAW

REQUEST_EVENTS = 100
LOOK_S = 1.0
NEAR_S = 1.0
"""Caught up: no more is waiting than before the outage, and what comes in within so many seconds."""

PATIENCE = 20.0
"""The wait for catching up, in lengths of the outage."""


def run(use: Use) -> Section:
    """Offer a steady load, stop ClickHouse, start it again, and watch the backlog."""
    offered, outage_s = use.scaled(3_000, 1_000), use.scaled(use.minutes * 60, 10.0)
    with new_home() as home, Ground.start(home) as ground, Group(home / "log") as group:
        side = start_ours(ground, group, server=use.server, processes=use.processes)
        warehouse = Warehouse.start(ground, group)
        warehouse.start_workers(2)
        rate = str(offered / REQUEST_EVENTS)
        arguments = load_arguments(side, REQUEST_EVENTS, 24 * 3_600, "-rate", rate)
        with subprocess.Popen([str(use.load), *arguments], stdout=subprocess.DEVNULL) as load:
            try:
                figures = _outage(use, warehouse, offered, outage_s)
            finally:
                load.kill()
    return section(figures, offered, outage_s)


def _outage(use: Use, warehouse: Warehouse, offered: int, outage_s: float) -> dict[str, float]:
    usual = _usual(warehouse, max(outage_s / 10, 5.0))
    warehouse.stop()
    use.say(f"catchup: ClickHouse is away for {outage_s:.0f} s, {offered:,} events/s come in")
    time.sleep(outage_s)
    warehouse.come_back()
    back = time.monotonic()
    stored = warehouse.events()
    backlog = _behind(warehouse)
    now, at = stored, back
    while (behind := _behind(warehouse)) > usual + offered * NEAR_S:
        time.sleep(LOOK_S)
        now, at = warehouse.events(), time.monotonic()
        if at - back > outage_s * PATIENCE:
            raise RuntimeError(f"still {behind:,} events behind, {usual:,} were usual: not caught up")
    lasted_s = max(at - back, LOOK_S)
    return {
        "usual_backlog_events": float(usual),
        "backlog_events": float(backlog),
        "caught_up_s": at - back,
        "stored_events_s": (now - stored) / lasted_s,
        "gained_events_s": backlog / lasted_s,
    }


def _usual(warehouse: Warehouse, seconds: float) -> int:
    """Return the largest backlog of some seconds in which all is well, the first of which do not count."""
    time.sleep(seconds)
    until = time.monotonic() + seconds
    seen = [_behind(warehouse)]
    while time.monotonic() < until:
        time.sleep(LOOK_S)
        seen.append(_behind(warehouse))
    return max(seen)


def _behind(warehouse: Warehouse) -> int:
    """Return how many events are in Kafka and not yet queryable."""
    stored = warehouse.events()
    return warehouse.ground.records(RAW) - stored


def section(figures: dict[str, float], offered: int, outage_s: float) -> Section:
    """Make the table."""
    usual = round(figures["usual_backlog_events"])
    return Section(
        name="catchup",
        title="Catching up after an outage of ClickHouse",
        figures={**figures, "offered_events_s": offered, "outage_s": outage_s},
        tables=[
            Table(
                ["outage s", "offered events/s", "backlog events", "caught up after s", "stored events/s"],
                [
                    [
                        f"{outage_s:.0f}",
                        offered,
                        round(figures["backlog_events"]),
                        f"{figures['caught_up_s']:.0f}",
                        round(figures["stored_events_s"]),
                    ]
                ],
            )
        ],
        notes=[
            "Two workers; the load goes on all the while, and the gateway acknowledges all the while. "
            f"Caught up: no more waits than at most before the outage ({usual:,} events) and what comes in "
            f"within {NEAR_S:g} s. `stored events/s` counts from the moment ClickHouse serves again, so the "
            "workers' pauses between attempts are in it.",
        ],
    )
