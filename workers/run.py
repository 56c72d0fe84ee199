"""One worker process from start to end: opens what a pipeline uses, runs it, stops it in good order."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bus import open_bus
from bus.base import Bus
from schemas.settings import Settings, SettingsError
from stores.base import Warehouse
from workers import admin
from workers.inserts import Inserts
from workers.memory import share_one_arena
from workers.partitions import Partitions
from workers.pipeline import Pipeline, Worker
from workers.pipelines import PIPELINES
from workers.recovery import Written
from workers.resources import open_resources
from workers.sink import Sink
from workers.watch import run_watched

STOP_S = 10.0
"""For the ranges under way after a stop signal; leaving the group takes time too, and a supervisor kills
after 20 s."""

log = logging.getLogger("penstock.worker")


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
            share_one_arena()
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
        working = [Worker(pipeline, member, sink, stop).run() for member in members]
        if not await run_watched(working, members, stop, stop_s=STOP_S):
            log.warning("not finished within %.0f s; what is under way is verified next time", STOP_S)
    finally:
        ended.set()
        await serving
    log.info("stopped")


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
