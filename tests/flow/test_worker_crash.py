"""A worker crashes at every point of its work, the next one goes on: each event is stored once."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from itertools import starmap
from pathlib import Path

from bus import open_bus
from bus.base import Bus, Record
from schemas.envelope import decode_dead
from schemas.matches import decode_match, match_id
from schemas.topics import DEAD, MATCHED, RAW
from stores.warehouse import ClickHouse
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow.worker_child import complete, ended, settings, start
from tests.unit.workers.running import FILTER, event_id, record
from workers.crash import POINTS

GOOD, BAD = 300, 3

WEBHOOKS = ("after_deliveries", "after_answer")
"""Points of another worker: tests/flow/test_webhooks_crash.py."""

SCENARIOS: dict[str, tuple[str, ...]] = {
    **{point: (point,) for point in POINTS if point not in ("in_recovery", *WEBHOOKS)},
    "second insert": ("after_insert:2",),
    "third round": ("after_intent:6",),
    "in recovery": ("after_insert", "in_recovery", "in_recovery:2", "before_insert"),
}


class Crashed:
    """One log, one database, and workers that come and go."""

    def __init__(self, name: str, directory: Path, clickhouse: EmbeddedClickHouse) -> None:
        self.home = directory / name.replace(" ", "_")
        self.home.mkdir()
        self.clickhouse = clickhouse
        self.database = "crash_" + self.home.name
        self.settings = settings(self.home, clickhouse.url_of(self.database))

    async def prepare(self) -> None:
        await self.clickhouse.migrate(self.database)
        async with open_bus(self.settings) as bus:
            await bus.publish(RAW, [record(n) for n in range(GOOD)])
            await bus.publish(RAW, [Record(b"1|v%d" % n, b"no envelope") for n in range(BAD)])

    def log(self) -> str:
        return (self.home / "worker.log").read_text()

    async def crash(self, at: str) -> None:
        process = start(self.settings, crash_at=at)
        status = await ended(process)
        assert status == -signal.SIGKILL, f"{at}: ended with {status}\n{self.log()}"

    async def finish(self) -> None:
        """Run a worker until all of the log is complete, and stop it."""
        process = start(self.settings)
        try:
            async with open_bus(self.settings) as bus, asyncio.timeout(60):
                while not await complete(bus):
                    assert process.exitcode is None, self.log()
                    await asyncio.sleep(0.1)
            process.terminate()
            assert await ended(process) == 0, self.log()
        finally:
            process.kill()

    async def check(self) -> None:
        async with self.clickhouse.warehouse(self.database) as warehouse:
            await _check_rows(warehouse)
        async with open_bus(self.settings) as bus:
            assert len(set(await _letters(bus))) == BAD
            assert await _matches(bus) == {match_id(FILTER, event_id(n)) for n in range(GOOD)}


async def _letters(bus: Bus) -> list[tuple[int, int]]:
    """Return the source partition and offset of every dead letter."""
    found = []
    for partition, (first, end) in (await bus.ends(DEAD)).items():
        for taken in await bus.read(partition, start=first, end=end):
            letter = decode_dead(taken.value)
            found.append((letter.src_kp, letter.src_ko))
    return found


async def _matches(bus: Bus) -> set[str]:
    """Return the id of every match; each is at least once there."""
    found = set()
    for partition, (first, end) in (await bus.ends(MATCHED)).items():
        for taken in await bus.read(partition, start=first, end=end):
            match = decode_match(taken.value)
            assert taken.key == match.id.encode() == dict(taken.headers)["id"]
            assert match.id == match_id(FILTER, json.loads(bytes(match.event))["event_id"])
            found.add(match.id)
    return found


async def _check_rows(warehouse: ClickHouse) -> None:
    rows = await warehouse.query("SELECT toString(event_id) AS id FROM events")
    assert sorted(row["id"] for row in rows) == [event_id(n) for n in range(GOOD)]
    (sums,) = await warehouse.query(
        "SELECT sum(stored) AS stored, sum(dead) AS dead, sum(end - start) AS taken FROM batches FINAL"
    )
    assert sums == {"stored": GOOD, "dead": BAD, "taken": GOOD + BAD}
    overlaps = await warehouse.query(
        "SELECT kp, ko FROM events GROUP BY topic, kp, ko, inc HAVING count() > 1"
    )
    assert overlaps == []


async def _play(name: str, crashed: Crashed) -> None:
    for point in SCENARIOS[name]:
        await crashed.crash(point)
    await crashed.finish()
    await crashed.check()


async def test_crashed_anywhere_each_event_is_stored_once(
    clickhouse: EmbeddedClickHouse, tmp_path: Path
) -> None:
    systems = {name: Crashed(name, tmp_path, clickhouse) for name in SCENARIOS}
    for crashed in systems.values():
        await crashed.prepare()
    # Side by side, because each waits for the dead worker's partitions to become free.
    results = await asyncio.gather(*starmap(_play, systems.items()), return_exceptions=True)
    failed = {name: result for name, result in zip(SCENARIOS, results, strict=True) if result is not None}
    assert failed == {}


def test_the_variable_arms_a_point() -> None:
    code = "from workers.crash import crash_point as at; at('after_take'); at('after_intent'); print('alive')"

    def crash_at(point: str) -> int:
        environment = {**os.environ, "PENSTOCK_CRASH_AT": point, "PYTHONPATH": "."}
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode

    assert crash_at("after_intent") == -signal.SIGKILL
    assert crash_at("after_intent:2") == 0
    assert crash_at("nowhere") == 1
