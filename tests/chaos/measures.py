"""`python -m tests.chaos.measures`: how long things take when a part is away, as one JSON object.

The whole production shape runs under an even load. "Down" means that the part's proxy resets every connection
and refuses new ones. The checks of `make chaos` follow: nothing lost, nothing doubled, the ledger balanced.
"""

import argparse
import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx

from schemas.topics import RAW
from tests.chaos.check import judge, stored_marks
from tests.chaos.marks import AckedMarks, Mark
from tests.chaos.measured import WORKERS, Measured, seconds_until
from tests.chaos.stack import Stack
from tests.chaos.steady import EVENTS, HEADERS, PATH, Answer, Steady, body, send

SETTLE_S = 600.0


def summary(answers: Iterable[Answer]) -> dict[str, int]:
    """Count answers by status."""
    return {str(status): times for status, times in sorted(Counter(a.status for a in answers).items())}


async def moved_on(bench: Measured, worker: str, number: signal.Signals) -> dict[str, Any]:
    """Signal a worker, and return when its partitions have an owner again, and each of them new rows."""
    owned = await bench.shared_out(worker)
    pid = bench.pid(worker)
    os.kill(pid, number)
    began = time.monotonic()
    await asyncio.sleep(1)  # what was on its way to ClickHouse may still arrive
    before = bench.ends()

    async def all_owned() -> bool:
        others = [name for name in WORKERS if number == signal.SIGKILL or name != worker]
        return owned <= set().union(*[await bench.partitions(name) for name in others])

    async def all_moved() -> bool:
        ends = bench.ends()
        return all(ends.get(kp, -1) > before.get(kp, -1) for kp in owned)

    owned_s = await seconds_until(all_owned, began)
    moved_s = await seconds_until(all_moved, began)
    if number == signal.SIGSTOP:
        os.kill(pid, signal.SIGCONT)
    return {"partitions": len(owned), "owned_s": owned_s, "rows_of_all_s": moved_s}


async def without_kafka(
    bench: Measured, begin: Callable[[], None], end: Callable[[], None]
) -> dict[str, Any]:
    """Take Kafka away for 15 s, and return what the gateway answered meanwhile and afterwards."""
    pid = bench.pid("gateway-1")
    begin()
    began = time.monotonic()

    async def known() -> bool:
        return bool((await bench.health())["bus"] == "down")

    health_s = await seconds_until(known, began)
    await asyncio.sleep(max(began + 15 - time.monotonic(), 0))
    end()
    ended = time.monotonic()

    async def serves() -> bool:
        return any(answer.status == 202 for answer in bench.load.since(ended))

    served_s = await seconds_until(serves, ended)
    await asyncio.sleep(7)  # until all that was sent meanwhile is answered
    away = [answer for answer in bench.load.since(began, ended) if answer.status != 202]
    return {
        "health_down_s": health_s,
        "answers": summary(bench.load.since(began, ended)),
        "refused_s_max": round(max((answer.took_s for answer in away), default=0.0), 1),
        "served_again_s": served_s,
        "same_process": bench.pid("gateway-1") == pid,
    }


async def kafka_cut(bench: Measured) -> dict[str, Any]:
    proxy = bench.proxy("kafka")
    return await without_kafka(bench, lambda: proxy.break_with("cut"), proxy.heal)


async def kafka_frozen(bench: Measured) -> dict[str, Any]:
    pid = bench.pid("kafka")
    return await without_kafka(
        bench, lambda: os.kill(pid, signal.SIGSTOP), lambda: os.kill(pid, signal.SIGCONT)
    )


async def without_clickhouse(bench: Measured, minutes: float) -> dict[str, Any]:
    """Cut ClickHouse off under load, then wait until the backlog is stored."""
    watching = asyncio.create_task(bench.watch_memory())
    bench.proxy("clickhouse").break_with("cut")
    began = time.monotonic()
    await asyncio.sleep(minutes * 60)
    health = await bench.health()
    bench.proxy("clickhouse").heal()
    ended = time.monotonic()
    answers = bench.load.since(began, ended)
    acked = sum(answer.status == 202 for answer in answers) * EVENTS
    lines = [line for line in await bench.stack.ledger() if line["topic"] == RAW]
    received = {line["partition"]: line["received"] for line in lines if line["received"]}

    async def drained() -> bool:
        stored = bench.ends()
        return bool(received) and all(stored.get(kp, -1) + 1 >= end for kp, end in received.items())

    drained_s = await seconds_until(drained, ended, SETTLE_S)
    watching.cancel()
    return {
        "minutes": minutes,
        "answers": summary(answers),
        "events_acked": acked,
        "health": health["clickhouse"],
        "backlog": sum(line["in_flight"] for line in lines),
        "drained_s": drained_s,
        "worker_rss_mb_max": max(bench.rss_mb_max.values()),
    }


async def without_redis(bench: Measured) -> dict[str, Any]:
    """Cut Redis off for 30 s; the limits are then kept by each process."""
    bench.proxy("redis").break_with("cut")
    began = time.monotonic()
    await asyncio.sleep(20)
    health = await bench.health()
    async with httpx.AsyncClient(timeout=20) as client:
        headers = HEADERS | {"Authorization": "Bearer dev-relo-token"}
        url = f"{bench.gateway}/ingest/batch"
        burst = [await send(client, url, b'{"events":[]}', headers) for _ in range(130)]
    bench.proxy("redis").heal()
    return {
        "answers": summary(bench.load.since(began, time.monotonic())),
        "health": health["dragonfly"],
        "relo_burst_of_130": summary(burst),
    }


async def without_postgres(bench: Measured) -> dict[str, Any]:
    """Cut Postgres off for 40 s, and send with a known token, with an unknown one, and with explicit keys."""
    keyed = [Mark("redo", f"keyed{i}", 0) for i in range(10)]
    bench.proxy("postgres").break_with("cut")
    began = time.monotonic()
    await asyncio.sleep(5)
    async with httpx.AsyncClient(timeout=20) as client:
        unknown = await send(
            client, bench.gateway + PATH, body(keyed), HEADERS | {"Authorization": "Bearer nobody"}
        )
        explicit = await send(client, bench.gateway + PATH, body(keyed, keyed=True))
    await asyncio.sleep(35)
    early = stored_keyed(bench)
    health = await bench.health()
    bench.proxy("postgres").heal()
    ended = time.monotonic()

    async def stored() -> bool:
        return stored_keyed(bench) == len(keyed)

    return {
        "answers": summary(bench.load.since(began, ended)),
        "health": health["supabase"],
        "unknown_token": unknown.status,
        "explicit_keys": explicit.status,
        "stored_while_down": early,
        "stored_after_s": await seconds_until(stored, ended),
    }


def stored_keyed(bench: Measured) -> int:
    """Return how many of the events with explicit keys are stored."""
    ((number,),) = bench.client.execute("SELECT count() FROM events WHERE raw LIKE '%mark-redo-keyed%'")
    return int(number)


async def measure(bench: Measured, minutes: float, only: str) -> dict[str, Any]:
    """Take the measures whose name begins with `only`, one after another."""
    figures: dict[str, Any] = {}
    steps: dict[str, Callable[[], Awaitable[dict[str, Any]]]] = {
        "worker_killed": lambda: moved_on(bench, WORKERS[0], signal.SIGKILL),
        "worker_frozen": lambda: moved_on(bench, WORKERS[1], signal.SIGSTOP),
        "kafka_cut": lambda: kafka_cut(bench),
        "kafka_frozen": lambda: kafka_frozen(bench),
        "redis_cut": lambda: without_redis(bench),
        "postgres_cut": lambda: without_postgres(bench),
        "clickhouse_cut": lambda: without_clickhouse(bench, minutes),
    }
    for name, step in steps.items():
        if not name.startswith(only):
            continue
        figures[name] = await step() | {"load_average": round(os.getloadavg()[0], 1)}
        print(name, json.dumps(figures[name]), flush=True)
        await asyncio.sleep(15)  # until all partitions have an owner again
    return figures


async def run(minutes: float, only: str, var: Path) -> None:
    """Start the stack, measure, check the books, stop."""
    stack = Stack(var)
    await stack.start()
    marks = AckedMarks(var / "acked-marks.txt")
    load = Steady(stack.port, marks)
    driving = asyncio.create_task(load.run())
    try:
        await asyncio.sleep(10)
        bench = Measured(stack, load)
        figures = await measure(bench, minutes, only)
        load.stop()
        await driving

        async def settled() -> bool:
            return await bench.in_flight() == 0

        await seconds_until(settled, time.monotonic(), SETTLE_S)
        verdict = judge(marks.read(), stored_marks(bench.client), ["redo"])
        lines = await stack.ledger()
    finally:
        load.stop()
        marks.close()
        await stack.stop()
    figures["books"] = verdict.by_dialect["redo"] | {
        "order_kept": not verdict.misordered,
        "in_flight": sum(line["in_flight"] for line in lines),
        "gaps": sum(line["gaps"] for line in lines),
        "overlaps": sum(line["overlaps"] for line in lines),
    }
    print(json.dumps(figures), flush=True)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clickhouse-minutes", type=float, default=5.0)
    parser.add_argument("--only", default="", help="what the names of the measures begin with")
    parser.add_argument("--var", type=Path, default=None, help="state directory; default: a new one")
    options = parser.parse_args()
    var = options.var or Path(mkdtemp(prefix="penstock-measures-"))
    asyncio.run(run(options.clickhouse_minutes, options.only, var))


if __name__ == "__main__":
    main()
