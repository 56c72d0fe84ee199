"""The running system of a measurement, and the means to disturb it and to look at it."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from clickhouse_driver import Client

from tests.chaos.proxy import Proxy
from tests.chaos.stack import Stack
from tests.chaos.steady import Steady

LOOK_S = 0.1
PATIENCE_S = 180.0
WORKERS = ("worker-events-1", "worker-events-2")


class Measured:
    """Where its parts are, and what they say."""

    def __init__(self, stack: Stack, load: Steady) -> None:
        self.stack = stack
        self.load = load
        self.client = Client("127.0.0.1", stack.clickhouse_port(), database="penstock")
        self.ports: dict[str, Any] = json.loads((stack.run_dir / "ports.json").read_text())
        self.gateway = f"http://127.0.0.1:{stack.port}"
        self.rss_mb_max: Counter[str] = Counter()

    def proxy(self, name: str) -> Proxy:
        return next(proxy for proxy in self.stack.proxies if proxy.name == name)

    def pid(self, part: str) -> int:
        return int((self.stack.run_dir / f"{part}.pid").read_text())

    def ends(self) -> dict[int, int]:
        """Return the last stored offset of each partition."""
        return dict(self.client.execute("SELECT kp, max(ko) FROM events GROUP BY kp"))

    async def partitions(self, worker: str) -> set[int]:
        """Return the partitions that a worker owns; none while it does not answer."""
        url = f"http://127.0.0.1:{self.ports['admin'][worker]}/health"
        try:
            async with httpx.AsyncClient(timeout=5) as client:
                reply = await client.get(url)
        except httpx.HTTPError:
            return set()
        return {int(name.rpartition("/")[2]) for name in reply.json()["partitions"]}

    async def shared_out(self, worker: str) -> set[int]:
        """Wait until the workers have shared the partitions out, and return those of one."""
        while True:
            owned = [await self.partitions(name) for name in WORKERS]
            if all(owned) and set().union(*owned) >= set(self.ends()):
                return owned[WORKERS.index(worker)]
            await asyncio.sleep(1)

    async def health(self) -> dict[str, Any]:
        async with httpx.AsyncClient(timeout=5) as client:
            found: dict[str, Any] = (await client.get(f"{self.gateway}/health")).json()
        return found

    async def in_flight(self) -> int | None:
        """Return what the ledger says is not stored yet; None while it cannot be asked."""
        lines = await self.stack.ledger()
        return sum(line["in_flight"] for line in lines) if lines else None

    async def watch_memory(self) -> None:
        """Keep the largest resident size of each worker, until cancelled."""
        while True:
            for part in WORKERS:
                self.rss_mb_max[part] = max(self.rss_mb_max[part], rss_mb(self.pid(part)))
            await asyncio.sleep(1)


def rss_mb(pid: int) -> int:
    """Return the resident size of a process; 0 if it ended just now."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    sizes = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(sizes[0]) // 1024 if sizes else 0


async def seconds_until(
    condition: Callable[[], Awaitable[bool]], since: float, patience_s: float = PATIENCE_S
) -> float:
    """Return how long after `since` an awaitable condition first held; -1 if it never did."""
    while time.monotonic() - since < patience_s:
        if await condition():
            return round(time.monotonic() - since, 1)
        await asyncio.sleep(LOOK_S)
    return -1.0
