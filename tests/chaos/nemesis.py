"""The nemesis: picks parts at random and kills, freezes or restarts them, or breaks their connections."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.proxy import FAULTS, Proxy


@dataclass
class Fault:
    """One fault as it happened; times are monotonic seconds."""

    name: str
    began: float
    ended: float = 0.0
    recovered: float | None = None


@dataclass
class Nemesis:
    """Injects one fault after another; `run_dir` holds the parts' pid files."""

    run_dir: Path
    proxies: Sequence[Proxy]
    rng: random.Random
    pause_s: tuple[float, float]
    hold_s: tuple[float, float]
    say: Callable[[str], None] = print
    faults: list[Fault] = field(default_factory=list)

    async def run(self, until: float, recovered: Callable[[float], Awaitable[float]]) -> None:
        """Break things until `until`; after each fault wait for `recovered(since)`, a monotonic time."""
        while time.monotonic() < until:
            fault = await self._one()
            fault.recovered = await recovered(fault.ended)
            self.say(f"  {fault.name}: served again {fault.recovered - fault.ended:.1f} s after it ended")
            await asyncio.sleep(self.rng.uniform(*self.pause_s))

    async def _one(self) -> Fault:
        kinds = [self._kill, self._kill, self._freeze, self._restart]
        if self.proxies:
            kinds += [self._disturb, self._disturb]
        fault = await self.rng.choice(kinds)()
        fault.ended = time.monotonic()
        self.faults.append(fault)
        return fault

    def _part(self) -> tuple[str, int]:
        parts = sorted(p.stem for p in self.run_dir.glob("*.pid") if p.stem not in {"supervisor", "api"})
        while True:
            name = self.rng.choice(parts)
            try:
                return name, int((self.run_dir / f"{name}.pid").read_text())
            except (OSError, ValueError):
                continue  # it ended just now

    def _begin(self, name: str) -> Fault:
        self.say(f"fault {len(self.faults) + 1}: {name}")
        return Fault(name, time.monotonic())

    async def _kill(self) -> Fault:
        name, pid = self._part()
        fault = self._begin(f"kill -9 {name}")
        _signal(pid, signal.SIGKILL)
        return fault

    async def _restart(self) -> Fault:
        name, pid = self._part()
        fault = self._begin(f"restart {name}")
        _signal(pid, signal.SIGTERM)
        return fault

    async def _freeze(self) -> Fault:
        name, pid = self._part()
        hold_s = self.rng.uniform(*self.hold_s)
        fault = self._begin(f"freeze {name} for {hold_s:.1f} s")
        _signal(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(hold_s)
        finally:
            _signal(pid, signal.SIGCONT)
        return fault

    async def _disturb(self) -> Fault:
        proxy, kind = self.rng.choice(self.proxies), self.rng.choice(FAULTS)
        hold_s = self.rng.uniform(*self.hold_s)
        fault = self._begin(f"{kind} {proxy.name} for {hold_s:.1f} s")
        proxy.break_with(kind)
        try:
            await asyncio.sleep(hold_s)
        finally:
            proxy.heal()
        return fault


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # the supervisor was quicker
