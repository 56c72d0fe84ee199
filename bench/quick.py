"""`make bench-quick`: our gateway beside the peer in under 90 s; the last line is one JSON object."""

import argparse
import json
import os
import sys
import time

from bench import recorded
from bench.ground import Ground, new_home
from bench.processes import Group, end_on_sigterm
from bench.programs import build
from bench.report import Cell, Table, markdown, number, spread
from bench.rounds import Round, interleave, measure
from bench.sides import BEST_SERVER, SERVERS, start_ours, start_peer
from bench.spread import Spreads, ratios, spreads

SIZES = (1, 100, 1_000)
COLUMNS = {"events_s": "events/s", "p99_ms": "p99 ms", "cpu_s_per_million_events": "CPU s per 1M events"}
ROUNDS = 3
ROUND_S = 2.5
WARM_S = 1.0
BUSY_MIN = 1.0
BUDGET_S = 75.0
"""After the programs are built; on a busy machine rounds are left out to keep to it."""


def main() -> int:
    """Read the command line, run, and return the exit status: 0 also when something fell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default=BEST_SERVER, choices=SERVERS)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=ROUND_S, help="of one round")
    parser.add_argument("--record", action="store_true", help="make this run the one that later ones meet")
    options = parser.parse_args()
    end_on_sigterm()
    busy = os.getloadavg()[0]
    if busy > BUSY_MIN:
        _say(f"the machine was busy just now (load average {busy:.1f}): do not rely on the figures")
    try:
        rounds = run(options.server, options.processes, options.rounds, options.seconds)
    except RuntimeError as error:  # ServerFailed is one
        print(f"bench: {error}", file=sys.stderr)
        return 1
    summed = spreads(rounds)
    now = ratios(summed, f"{options.server}-{options.processes}", "peer")
    _say(markdown(_table(summed, now)))
    _compare(now)
    if options.record:
        cores = os.cpu_count() or 1
        recorded.write(recorded.Recorded(_today(), options.server, cores, busy, _rounded(now)))
    print(json.dumps(last_line(summed, now, rounds)))
    return 0


def run(server: str, processes: int, rounds: int, seconds: float) -> list[Round]:
    """Start everything, and load both sides in turns. Raises ServerFailed."""
    load, peer = build("load"), build("peer")
    until = time.monotonic() + BUDGET_S
    with (
        new_home() as home,
        Ground.start(home) as ground,
        Group(ground.home / "log") as group,
    ):
        sides = (
            start_ours(ground, group, server=server, processes=processes),
            start_peer(ground, group, peer),
        )
        for side in sides:
            measure(ground, load, side, SIZES[0], WARM_S)
        return interleave(
            sides,
            SIZES,
            rounds,
            lambda side, size: measure(ground, load, side, size, seconds),
            say=_say,
            until=until,
        )


def last_line(summed: Spreads, now: dict[int, float], rounds: list[Round]) -> dict[str, object]:
    """Return what other programs read."""
    return {
        "ratio_to_peer": {str(size): round(ratio, 3) for size, ratio in now.items()},
        "peer_events_s": {
            str(size): round(figures["events_s"].median) for size, figures in summed["peer"].items()
        },
        "landed_equals_acked": all(took.landed == took.acked for took in rounds),
    }


def _table(summed: Spreads, now: dict[int, float]) -> Table:
    """Lay out both sides; CPU an event is what a busy machine disturbs least."""
    rows: list[list[Cell]] = [
        [
            side,
            size,
            *(spread(figures[name]) for name in COLUMNS),
            number(now[size]) if side != "peer" else "",
        ]
        for size in now
        for side, figures in ((side, sizes[size]) for side, sizes in summed.items())
    ]
    return Table(["side", "events a request", *COLUMNS.values(), "of the peer"], rows)


def _compare(now: dict[int, float]) -> None:
    before = recorded.read()
    if before is None:
        _say("nothing is recorded yet: `make bench-quick RECORD=1` records this machine's ratios")
        return
    fell = recorded.fallen(before.ratio_to_peer, now)
    _say(f"compared with {before.on} ({before.server}, {before.cores} cores):")
    for sentence in fell or ["nothing fell"]:
        _say(f"  {sentence}")


def _say(line: str) -> None:
    print(line, flush=True)


def _rounded(now: dict[int, float]) -> dict[int, float]:
    return {size: round(ratio, 3) for size, ratio in now.items()}


def _today() -> str:
    return time.strftime("%Y-%m-%d")


if __name__ == "__main__":
    sys.exit(main())
