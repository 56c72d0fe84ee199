"""How long new customers of redo take to be resolved: two workers over one Postgres.

`python -m bench.persons` starts a Postgres of its own and two worker processes. In each run they meet 50,000
customers that nobody has seen, each with an id, an e-mail and a phone, in batches as a worker takes them. It
prints one JSON object; the goal is under 10 s. `worker_cpu_s` is what the two processes computed, together.
"""

import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NamedTuple

from deploy.dev import postgres
from deploy.dev.server import ServerFailed, free_ports, spawn, wait_ready
from schemas.event import CONSENT_ALL, Event
from schemas.settings import Settings
from schemas.topics import RAW, Coordinates
from stores.migrations import migrate_registry
from workers.resources import open_resources
from workers.stage import Unavailable
from workers.stages.person import Person

CUSTOMERS = 50_000
WORKERS = 2
RUNS = 5
GOAL_S = 10.0
START_S_MAX = 60
WAITS_MAX = 20
RECEIVED_AT = 1_775_000_000_000


class Took(NamedTuple):
    """What one worker took for its part of a run."""

    run: int
    began: float
    ended: float
    cpu_s: float
    waited: int  # batches that were judged again, because the registry took too long


def main() -> None:
    """Measure, and print the figures."""
    with tempfile.TemporaryDirectory() as home, _postgres(Path(home)) as url:
        settings = Settings(home=home, registry_url=url)
        asyncio.run(migrate_registry(settings))
        took = _measure(settings)
    seconds, cpu_s = [], []
    for run in range(RUNS):
        of_run = [one for one in took if one.run == run]
        seconds.append(max(one.ended for one in of_run) - min(one.began for one in of_run))
        cpu_s.append(sum(one.cpu_s for one in of_run))
    result = {
        "bench": "persons",
        "customers": CUSTOMERS,
        "workers": WORKERS,
        "runs": RUNS,
        "goal_s": GOAL_S,
        "seconds": _spread(seconds),
        "worker_cpu_s": _spread(cpu_s),
        "batches_judged_again": sum(one.waited for one in took),
        "load_average": os.getloadavg()[0],
        "cores": os.cpu_count(),
    }
    print(json.dumps(result))


def _spread(figures: Sequence[float]) -> dict[str, float]:
    spread = {"min": min(figures), "median": statistics.median(figures), "max": max(figures)}
    return {name: round(figure, 3) for name, figure in spread.items()}


@contextmanager
def _postgres(home: Path) -> Iterator[str]:
    """Run a Postgres; yield its address."""
    home.chmod(0o711)  # where we are root, Postgres runs as another user, who passes through
    log = home / "postgres.log"
    try:
        server = postgres.prepare(home / "postgres", free_ports(1)[0])
        process = spawn(server, log)
        wait_ready(server, process, log)
    except ServerFailed as error:
        sys.exit(f"bench.persons: {error}")
    try:
        yield server.url
    finally:
        process.send_signal(server.stop_signal)
        process.wait(START_S_MAX)


def _measure(settings: Settings) -> list[Took]:
    context = multiprocessing.get_context("spawn")
    together, answers = context.Barrier(WORKERS), context.Queue()
    workers = [
        context.Process(target=_work, args=(settings.registry_url, kp, together, answers), daemon=True)
        for kp in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    took = [Took(*answers.get(timeout=300)) for _ in range(WORKERS * RUNS)]
    for worker in workers:
        worker.join()
    return took


def _work(registry_url: str, kp: int, together: Barrier, answers: "multiprocessing.Queue[Took]") -> None:
    asyncio.run(_resolve(Settings(registry_url=registry_url), kp, together, answers))


async def _resolve(
    settings: Settings, kp: int, together: Barrier, answers: "multiprocessing.Queue[Took]"
) -> None:
    size = settings.worker_rows_max
    async with open_resources(settings) as use:  # a warehouse is told of merges only, and here is none
        for run in range(RUNS):
            stage = Person(use)
            events = [_event(run, kp, number) for number in range(CUSTOMERS // WORKERS)]
            together.wait(START_S_MAX)
            began, cpu_s, waited = time.time(), time.process_time(), 0
            for start in range(0, len(events), size):
                waited += await _judge(stage, events[start : start + size])
            answers.put(Took(run, began, time.time(), time.process_time() - cpu_s, waited))
            assert len({event.person_id for event in events}) == len(events)


async def _judge(stage: Person, events: Sequence[Event]) -> int:
    """Judge a batch as a pipeline does, again and again on a machine that is too busy; return how often."""
    for waited in range(WAITS_MAX):
        try:
            await stage.judge(events)
        except Unavailable:
            continue
        return waited
    raise TimeoutError("the registry does not answer")


def _event(run: int, kp: int, number: int) -> Event:
    """Return the only event of a customer; each run is a tenant's of its own."""
    name = f"{kp}-{number}"
    return Event(
        event_id=f"00000000-0000-7000-8{kp:03}-{number:012}",
        tenant_id=run + 1,
        dialect="redo",
        source="store",
        received_at=RECEIVED_AT + number,
        sent_at=None,
        request_id="request",
        flags=[],
        event_name="Order Placed",
        event_type="order_completed",
        occurred_at=RECEIVED_AT + number,
        subject=name,
        user_id=f"665f1a2b3c4d5e6f{name}",
        email=f"{name}@example.com",
        phone=f"+5255{kp + 1}{number:07}",
        allowed=CONSENT_ALL,
        profile={"firstName": '"Ann"'},
        at=Coordinates(1, RAW, kp, number),
    )


if __name__ == "__main__":
    main()
