"""Stages of the worker: microseconds of CPU an event at each, over warm caches, in one process."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from bench.ground import Ground, new_home
from bench.processes import Group
from bench.report import Cell, Section, Table, spread
from bench.rounds import CONNECTIONS, load_arguments, run_load
from bench.sides import start_ours
from bench.spread import Spread
from bench.use import Use
from bench.warehouse import Warehouse
from bus import open_bus
from bus.base import Batch, Claim
from cli.process import settle
from schemas.rows import LANDING, columns
from schemas.settings import Settings
from schemas.topics import RAW
from workers.judging import Judged, decode, pass_through, rows
from workers.pipeline import Pipeline
from workers.pipelines import PIPELINES
from workers.resources import open_resources

DEVICES = 40_000
SPREAD_S = 600
"""Ten events of a device within ten minutes, as a shopper makes them: busier ones go to the key store."""

REQUEST_EVENTS = 100
BATCH_RECORDS = 5_000
STAGES_US_MAX = 10.0
"""What all stages together may cost an event; decode, rows and insert come on top."""

Costs = dict[str, list[float]]


def run(use: Use) -> Section:
    """Have a gateway publish events, then walk them through the pipeline here."""
    requests = use.scaled(4_000, 800)
    bodies = requests // CONNECTIONS[REQUEST_EVENTS] // 2  # each is sent twice, as two requests
    with new_home() as home, Ground.start(home) as ground, Group(home / "log") as group:
        side = start_ours(ground, group, server=use.server, processes=1)
        run_load(
            use.load,
            load_arguments(
                side,
                REQUEST_EVENTS,
                600,
                *("-requests", str(requests), "-bodies", str(bodies)),
                *("-devices", str(DEVICES), "-spread", str(SPREAD_S)),
            ),
        )
        warehouse = Warehouse.start(ground, group)
        first, costs = asyncio.run(_measure(warehouse.settings))
    return section(first, costs, requests * REQUEST_EVENTS)


def section(first: Costs, costs: Costs, events: int) -> Section:
    """Make a table of the costs by step, at the first and the second meeting; each list has one a batch."""
    spreads = {name: Spread.of(each) for name, each in costs.items()}
    firsts = {name: Spread.of(each) for name, each in first.items()}
    stages = [name for name in spreads if name not in {"decode", "rows", "insert"}]
    together, at_first = (sum(of[name].median for name in stages) for of in (spreads, firsts))
    lines: list[list[Cell]] = [[name, spread(each), spread(firsts[name])] for name, each in spreads.items()]
    lines.append(["all stages together", f"{together:.2f}", f"{at_first:.2f}"])
    return Section(
        name="stages",
        title="Stages of the worker",
        figures={
            "us_per_event": spreads,
            "us_per_event_first": firsts,
            "stages_together_us": together,
            "stages_us_max": STAGES_US_MAX,
        },
        tables=[Table(["step", "µs CPU an event", "when all is new"], lines)],
        notes=[
            f"{events:,} events of {DEVICES:,} devices within {SPREAD_S // 60} minutes. In the first half "
            "every device, address and person is new; in the second half they come again, with the same "
            f"behaviour, and meet warm caches. A figure is of one batch of at most {BATCH_RECORDS:,} events: "
            "median (minimum–maximum).",
            "CPU of the whole process, the driver's threads too; `rows` makes the rows, `insert` sends them. "
            f"The stages between decode and rows are to cost at most {STAGES_US_MAX:g} µs together.",
        ],
    )


async def _measure(settings: Settings) -> tuple[Costs, Costs]:
    async with open_resources(settings) as resources:
        pipeline = PIPELINES["events"](resources)
        batches = await _batches(settings)
        middle = len(batches) // 2
        settle()
        first: Costs = {}
        costs: Costs = {}
        for number, batch in enumerate(batches):
            await _walk(pipeline, batch, first if number < middle else costs, resources.warehouse.insert)
        return first, costs


async def _batches(settings: Settings) -> list[Batch]:
    """Read the whole topic, in batches that take turns between the partitions."""
    cut: list[tuple[int, Batch]] = []
    async with open_bus(settings) as bus:
        for partition, (start, end) in sorted((await bus.ends(RAW)).items()):
            claim = Claim(partition, 1, 1, None, "", start, end)
            records = await bus.read(partition, start=start, end=end)
            cut += [
                (at, Batch(claim, records[at : at + BATCH_RECORDS]))
                for at in range(0, len(records), BATCH_RECORDS)
            ]
    return [batch for _, batch in sorted(cut, key=lambda each: each[0])]


async def _walk(
    pipeline: Pipeline[Any], batch: Batch, costs: Costs, insert: Callable[..., Awaitable[None]]
) -> None:
    """Do with a batch what a worker does, and add what each step costs an event, in µs."""
    size = len(batch.records)

    async def timed(name: str, step: Callable[[], Awaitable[Any]]) -> Any:
        began = time.process_time()
        result = await step()
        costs.setdefault(name, []).append((time.process_time() - began) * 1e6 / size)
        return result

    async def decoded() -> Judged[Any]:
        return decode(batch, pipeline.read, {})

    judged: Judged[Any] = await timed("decode", decoded)
    for stage in pipeline.stages:
        await timed(stage.name, lambda stage=stage: pass_through(stage, judged))  # type: ignore[misc]
    stored = await timed("rows", lambda: _rows(pipeline, judged))
    claim = batch.claim
    block = columns(claim.partition, claim.inc, list(stored), list(stored.values()))
    token = f"bench-{claim.partition}-{batch.start}"
    await timed("insert", lambda: insert(LANDING[pipeline.table], block, token=token, query_id=token))


async def _rows(pipeline: Pipeline[Any], judged: Judged[Any]) -> dict[int, str]:
    assert not [*judged.dead, *judged.ended], _why(judged)
    if pipeline.patch is not None:
        rows(judged, pipeline.patch)
    return rows(judged, pipeline.row)


def _why(judged: Judged[Any]) -> str:
    ended: Sequence[object] = [*judged.dead.values(), *(why for _, why in judged.ended.values())]
    return f"{len(ended)} events of the bench did not become rows, as the first: {ended[0]}"
