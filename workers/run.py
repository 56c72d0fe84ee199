"""One worker process from start to end: opens what a pipeline uses, runs it, stops it in good order."""

import asyncio
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from bus import open_bus
from bus.base import Bus
from schemas.settings import Settings, SettingsError
from stores.base import Warehouse
from workers import admin
from workers.inserts import Inserts
from workers.partitions import Partitions
from workers.pipeline import Pipeline, Worker
from workers.pipelines import PIPELINES
from workers.recovery import Written
from workers.resources import open_resources
from workers.sink import Sink

STOP_S = 10.0
"""For the ranges under way after a stop signal; leaving the group takes time too, and a supervisor kills
after 20 s."""

STUCK_S = 600.0
LOOK_EVERY_S = 5.0

log = logging.getLogger("penstock.worker")


class WorkerStuck(RuntimeError):
    """A worker's loop did not turn for minutes: something waits without a limit. A restart frees it."""


async def run_worker(name: str, settings: Settings) -> None:
    """Run the pipeline `name` until SIGTERM or SIGINT.

    Raises SettingsError, LogChanged, StoreMisconfigured, WorkerStuck, and BusUnavailable at the start.
    """
    if name not in PIPELINES:
        raise SettingsError(f"there is no worker {name!r}; there are {', '.join(PIPELINES)}, webhooks")
    sock = admin.bind(settings)
    async with open_bus(settings) as bus, open_resources(settings) as use:
        with stop_signal() as stop:
            pipeline = PIPELINES[name](use)
            gc.collect()
            gc.freeze()  # what start-up made lives until the end
            gc.set_threshold(20_000, 20, 20)  # docs/decisions/0153
            await run_pipeline(
                pipeline,
                bus=bus,
                warehouse=use.warehouse,
                stop=stop,
                sock=sock,
                cluster=settings.clickhouse_cluster,
            )


async def run_pipeline(
    pipeline: Pipeline[Any],
    *,
    bus: Bus,
    warehouse: Warehouse,
    stop: asyncio.Event,
    sock: socket.socket,
    cluster: str = "",
) -> None:
    """Run a pipeline over its topics, with the admin port on `sock`, until `stop` is set.

    Ranges under way then have 10 s. Raises what a worker raises.
    """
    written = Written(warehouse, pipeline.table, outcomes=pipeline.outcome is not None, cluster=cluster)
    sink = Sink(
        warehouse=warehouse,
        inserts=Inserts(warehouse),
        bus=bus,
        written=written,
        pipeline=pipeline.name,
        worker=f"{socket.gethostname()}:{os.getpid()}",
        remembering=pipeline.remembering,
    )
    members = [
        Partitions(
            bus,
            written,
            topic=topic,
            group=pipeline.group,
            limits=pipeline.limits,
            stop=stop,
            remembering=pipeline.remembering,
        )
        for topic in pipeline.reads
    ]
    host, port = sock.getsockname()[:2]
    log.info("pipeline %s, admin on %s port %d", pipeline.name, host, port)
    ended = asyncio.Event()
    serving = asyncio.create_task(
        admin.serve_admin(admin.app(pipeline.name, members, stop), sock, ended), name="admin"
    )
    try:
        await _work([Worker(pipeline, member, sink, stop) for member in members], members, stop)
    finally:
        ended.set()
        await serving
    log.info("stopped")


async def _work(workers: Sequence[Worker[Any]], members: Sequence[Partitions], stop: asyncio.Event) -> None:
    working = [asyncio.create_task(worker.run()) for worker in workers]
    watching = asyncio.create_task(_watch(members, stop))
    try:
        running = {*working, watching}
        while not all(task.done() for task in working):
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if watching in done:
                log.warning("not finished within %.0f s; what is under way is verified next time", STOP_S)
                return
    finally:
        for task in (*working, watching):
            task.cancel()
        await asyncio.gather(*working, watching, return_exceptions=True)


async def _watch(members: Sequence[Partitions], stop: asyncio.Event) -> None:
    """Return when time is up after a stop signal. Raises WorkerStuck."""
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_EVERY_S)
        if any(time.monotonic() - member.turned_at > STUCK_S for member in members):
            raise WorkerStuck(f"a worker did nothing for {STUCK_S:.0f} s, not even ask for records")
    await asyncio.sleep(STOP_S)


@contextmanager
def stop_signal() -> Iterator[asyncio.Event]:
    """Give an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
