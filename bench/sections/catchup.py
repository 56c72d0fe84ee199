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
NEAR_S = 3.0
"""Caught up: the backlog is what comes in within so many seconds."""

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
    time.sleep(outage_s / 10)
    warehouse.stop()
    use.say(f"catchup: ClickHouse is away for {outage_s:.0f} s, {offered:,} events/s come in")
    time.sleep(outage_s)
    warehouse.come_back()
    back = time.monotonic()
    stored, published = warehouse.events(), warehouse.ground.records(RAW)
    backlog = published - stored
    now, at = stored, back
    while warehouse.ground.records(RAW) - now > offered * NEAR_S:
        time.sleep(LOOK_S)
        now, at = warehouse.events(), time.monotonic()
        if at - back > outage_s * PATIENCE:
            raise RuntimeError(f"still {warehouse.ground.records(RAW) - now:,} events behind; not caught up")
    return {
        "backlog_events": float(backlog),
        "caught_up_s": at - back,
        "stored_events_s": (now - stored) / max(at - back, LOOK_S),
        "gained_events_s": backlog / max(at - back, LOOK_S),
    }


def section(figures: dict[str, float], offered: int, outage_s: float) -> Section:
    """Make the table."""
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
            "Two workers; the load goes on all the while, and the gateway acknowledges all the while. Caught "
            f"up means that no more waits than comes in within {NEAR_S:g} s. `stored events/s` counts from "
            "the moment ClickHouse serves again, so the workers' pauses between attempts are in it.",
        ],
    )
