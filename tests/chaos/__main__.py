"""`make chaos MINUTES=5 SEED=n`: load, faults, settling, and the books as one JSON object at the end."""

import argparse
import asyncio
import json
import random
import sys
import time
from pathlib import Path
from tempfile import mkdtemp

from clickhouse_driver import Client

from tests.chaos.check import Verdict, judge, stored_marks, totals
from tests.chaos.load import DIALECTS, Load
from tests.chaos.marks import AckedMarks
from tests.chaos.nemesis import Nemesis
from tests.chaos.stack import Stack

_RECOVERY_S_MAX = 90.0
_SETTLE_S_MAX = 180.0


def say(line: str) -> None:
    """Print a line of progress with the time since the start."""
    print(f"[{time.monotonic() - _BEGAN:7.1f}] {line}", flush=True)


_BEGAN = time.monotonic()


async def chaos(minutes: float, seed: int, var: Path) -> int:
    """Run once; returns the exit code: 0 if nothing was lost, doubled or left over."""
    stack = Stack(var)
    say(f"seed {seed}, state in {var}")
    await stack.start()
    say(f"the stack serves on port {stack.port}")
    marks = AckedMarks(var / "acked-marks.txt")
    load = Load(stack.gateway_proxy.port, marks, seed=seed)
    proxies = (*stack.proxies, stack.gateway_proxy)
    # In a short run the faults are short too, so that there are several.
    hold_s_max = min(12.0, minutes * 6)
    nemesis = Nemesis(
        stack.run_dir, proxies, random.Random(seed), hold_s=(1.0, hold_s_max), pause_s=(1.0, 8.0), say=say
    )
    try:
        driving = asyncio.create_task(load.run())
        await asyncio.sleep(3)
        await nemesis.run(time.monotonic() + minutes * 60, lambda since: _recovered(load, since))
        say("no more faults; waiting for open requests")
        load.stop()
        await driving
        say("waiting for the workers to catch up")
        balanced = await _settled(stack)
        with Client("127.0.0.1", stack.clickhouse_port(), database="penstock") as client:
            verdict = judge(marks.read(), stored_marks(client), DIALECTS)
    finally:
        marks.close()
        code = await stack.stop()
    say(f"the supervisor ended with {code}")
    _report(load, nemesis, verdict, balanced)
    return 0 if verdict.clean and balanced else 1


async def _recovered(load: Load, since: float) -> float:
    """Wait until every dialect had an acknowledgement after `since`; returns when that was."""
    until = since + _RECOVERY_S_MAX
    while time.monotonic() < until:
        acks = [load.tally.last_ack.get(dialect, 0.0) for dialect in DIALECTS]
        if min(acks) > since:
            return max(time.monotonic(), since)
        await asyncio.sleep(0.1)
    return time.monotonic()


async def _settled(stack: Stack) -> bool:
    """Wait until the ledger shows nothing in flight; tells whether it balances then."""
    until = time.monotonic() + _SETTLE_S_MAX
    lines: list[dict[str, object]] = []
    while time.monotonic() < until:
        lines = await stack.ledger()
        if lines and all(line["in_flight"] == 0 for line in lines):
            break
        await asyncio.sleep(2)
    for line in lines:
        if line["in_flight"] or line["gaps"] or line["overlaps"]:
            say(f"ledger: {json.dumps(line)}")
    return bool(lines) and all(
        line["in_flight"] == 0 and line["gaps"] == 0 and line["overlaps"] == 0 for line in lines
    )


def _report(load: Load, nemesis: Nemesis, verdict: Verdict, balanced: bool) -> None:
    for (dialect, answer), times in sorted(load.tally.answers.items()):
        say(f"answers: {dialect:8} {answer:24} {times}")
    for name, examples in (("lost", verdict.lost), ("out of order", verdict.misordered)):
        for example in examples:
            say(f"{name}: {example}")
    recoveries = [f.recovered - f.ended for f in nemesis.faults if f.recovered is not None]
    result = totals(verdict) | {
        "faults": len(nemesis.faults),
        "by_dialect": verdict.by_dialect,
        "recovered_s_max": round(max(recoveries, default=0.0), 1),
        "order_kept": not verdict.misordered,
        "ledger_balanced": balanced,
    }
    print(json.dumps(result), flush=True)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--var", type=Path, default=None, help="state directory; default: a new one")
    options = parser.parse_args()
    var = options.var or Path(mkdtemp(prefix="penstock-chaos-"))
    sys.exit(asyncio.run(chaos(options.minutes, options.seed, var)))


if __name__ == "__main__":
    main()
