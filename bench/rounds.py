"""One measured round of load on one side, and rounds of several sides taken in turns."""

import json
import math
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from bench.ground import Ground
from bench.sides import Side

CONNECTIONS = {1: 64, 100: 32, 1_000: 16, 10_000: 4}
"""By events a request: enough to keep two gateways busy, few enough that a latency is not a queue's."""


class Round(Struct, frozen=True):
    """What one round gave. `landed` counts by end offsets; CPU in seconds per million events."""

    side: str
    events_per_request: int
    acked: int
    landed: int
    failed: dict[str, int]
    figures: dict[str, float]


def run_load(program: Path, arguments: Sequence[str]) -> dict[str, Any]:
    """Run the load to its end and return its report. Raises RuntimeError with what it said."""
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def load_arguments(side: Side, events: int, seconds: float, *more: str) -> list[str]:
    """Return what the load is told about a side."""
    expect = ("-expect", f'"accepted":{events},') if side.load else ()
    return [
        *("-port", str(side.port), "-events", str(events), "-seconds", str(seconds)),
        *("-connections", str(CONNECTIONS[events]), *side.load, *expect, *more),
    ]


def measure(ground: Ground, program: Path, side: Side, events: int, seconds: float) -> Round:
    """Load one side and count what it cost and what landed."""
    side.forget_rss_peak()
    before = ground.records(side.topic), side.cpu_s(), ground.kafka_cpu_s()
    report = run_load(program, load_arguments(side, events, seconds))
    cpu_s, kafka_cpu_s = side.cpu_s() - before[1], ground.kafka_cpu_s() - before[2]
    acked, lasted_s = report["acked_events"], max(report["seconds"], seconds)
    return Round(
        side=side.name,
        events_per_request=events,
        acked=acked,
        landed=ground.records(side.topic) - before[0],
        failed=report["failed"],
        figures={
            "events_s": acked / lasted_s,
            "requests_s": report["requests"] / lasted_s,
            **{f"{name}_ms": value for name, value in report["latency_ms"].items()},
            "cpu_s_per_million_events": cpu_s * 1e6 / max(acked, 1),
            "rss_mb": side.rss_peak_mb(),
            "kafka_cpu_s_per_million_events": kafka_cpu_s * 1e6 / max(acked, 1),
            "cores": cpu_s / lasted_s,
            "kafka_cores": kafka_cpu_s / lasted_s,
            "load_cpu_s_per_million_requests": report["cpu_s"] * 1e6 / max(report["requests"], 1),
        },
    )


def interleave(
    sides: Iterable[Side],
    sizes: Iterable[int],
    rounds: int,
    one: Callable[[Side, int], Round],
    *,
    say: Callable[[str], None],
    until: float = math.inf,
) -> list[Round]:
    """Take the sides in turns, round by round, so that what disturbs one disturbs the others alike.

    No round is begun that would end after `until`, a monotonic time; the first always is.
    """
    sides, sizes = list(sides), list(sizes)
    taken: list[Round] = []
    began = time.monotonic()
    for number in range(1, rounds + 1):
        now = time.monotonic()
        if taken and now + (now - began) / (number - 1) > until:
            say(f"the time is up after {number - 1} of {rounds} rounds")
            break
        for size in sizes:
            for side in sides:
                taken.append(one(side, size))
                say(f"round {number}/{rounds}  {_line(taken[-1])}")
    return taken


def _line(took: Round) -> str:
    figures: Mapping[str, float] = took.figures
    failed = f"  failed {took.failed}" if took.failed else ""
    return (
        f"{took.side:<12} {took.events_per_request:>6} events a request: "
        f"{figures['events_s']:>10,.0f} events/s  p50 {figures['p50_ms']:.1f} ms{failed}"
    )
