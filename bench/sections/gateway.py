"""Gateway and peer: requests and events a second, latency, CPU and memory, by events a request."""

from collections import Counter

from bench.ground import Ground, new_home
from bench.processes import Group
from bench.report import Chart, Section, Table, number, spread
from bench.rounds import CONNECTIONS, Round, interleave, measure
from bench.sides import SERVERS, Side, start_ours, start_peer
from bench.spread import Spreads, ratios, spreads
from bench.use import Use

SIZES = (1, 100, 1_000, 10_000)
PROCESSES = (1, 2)
WARM_S = 1.0
PEER = "peer"

COLUMNS = {
    "events_s": "events/s",
    "requests_s": "requests/s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "p99.9_ms": "p99.9 ms",
    "cpu_s_per_million_events": "CPU s per 1M events",
    "rss_mb": "RSS MiB",
    "cores": "cores",
    "kafka_cores": "Kafka cores",
}


def run(use: Use) -> Section:
    """Load every side with every size, in turns."""
    rounds_count, seconds = use.scaled(5, 2), use.scaled(4.0, 1.5)
    with new_home() as home, Ground.start(home) as ground, Group(home / "log") as group:
        sides = start_all(use, ground, group)
        for side in sides:
            measure(ground, use.load, side, SIZES[0], WARM_S)
        rounds = interleave(
            sides,
            SIZES,
            rounds_count,
            lambda side, size: measure(ground, use.load, side, size, seconds),
            say=use.say,
        )
    return section(rounds, seconds)


def start_all(use: Use, ground: Ground, group: Group) -> list[Side]:
    """Start our gateway with every server and number of processes, and the peer."""
    ours = [
        start_ours(ground, group, server=server, processes=processes)
        for server in SERVERS
        for processes in PROCESSES
    ]
    return [*ours, start_peer(ground, group, use.peer)]


def section(rounds: list[Round], seconds: float) -> Section:
    """Make tables and a chart of rounds."""
    summed = spreads(rounds)
    ours = [name for name in summed if name != PEER]
    by_side = {name: ratios(summed, name, PEER) for name in ours}
    return Section(
        name="gateway",
        title="Gateway and peer",
        figures={
            "spreads": summed,
            "ratio_to_peer": by_side,
            "landed_equals_acked": not _wrong(rounds),
            "acked": sum(took.acked for took in rounds),
            "landed": sum(took.landed for took in rounds),
        },
        tables=[*(_of_size(summed, size) for size in SIZES), _ratio_table(by_side)],
        charts=[_chart(summed)],
        notes=_notes(rounds, seconds),
    )


def _notes(rounds: list[Round], seconds: float) -> list[str]:
    wrong = _wrong(rounds)
    acked, landed = sum(took.acked for took in rounds), sum(took.landed for took in rounds)
    repeated = Counter((took.side, took.events_per_request) for took in rounds)
    load_cpu = [
        took.figures["load_cpu_s_per_million_requests"] for took in rounds if took.events_per_request == 1
    ]
    return [
        f"Each figure is the median of {max(repeated.values())} interleaved rounds of {seconds:g} s "
        f"(minimum–maximum), over {' / '.join(str(CONNECTIONS[size]) for size in SIZES)} connections for "
        f"{' / '.join(f'{size:,}' for size in SIZES)} events a request, each with one request under way.",
        f"Acknowledged events: {acked:,}; landed, by the topics' end offsets: {landed:,}. "
        f"Rounds in which the two differ, or a request failed: {len(wrong)} of {len(rounds)}.",
        f"The load itself cost at most {max(load_cpu):.1f} CPU seconds per million one-event requests.",
        "`cores` is the CPU time of a side's processes per second, `Kafka cores` the broker's; with the "
        "load they share the machine. Where they add up to all cores, the machine bounds the figure; where "
        "not, and a side's cores are near its number of processes, that side's Python does; else it is the "
        "wait for the acknowledgement.",
    ]


def _wrong(rounds: list[Round]) -> list[Round]:
    return [took for took in rounds if took.landed != took.acked or took.failed]


def _of_size(summed: Spreads, size: int) -> Table:
    rows = [[side, *(spread(figures[size][name]) for name in COLUMNS)] for side, figures in summed.items()]
    return Table(["", *COLUMNS.values()], [list(row) for row in rows], f"{size:,} events a request")


def _ratio_table(by_side: dict[str, dict[int, float]]) -> Table:
    return Table(
        ["events/s over the peer's", *(f"{size:,}" for size in SIZES)],
        [[side, *(number(of_size[size]) for size in SIZES)] for side, of_size in by_side.items()],
        "Ratios of medians",
    )


def _chart(summed: Spreads) -> Chart:
    lines = {
        side: [(float(size), figures[size]["events_s"].median) for size in SIZES]
        for side, figures in summed.items()
    }
    return Chart("gateway", "Events acknowledged a second", "events a request", "events/s", lines)
