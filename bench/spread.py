"""Minimum, median and maximum of repeated figures, and ratios of medians."""

from collections.abc import Iterable
from statistics import median

from msgspec import Struct

from bench.rounds import Round


class Spread(Struct, frozen=True):
    """What repetitions of one figure came to."""

    min: float
    median: float
    max: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Sum up at least one value."""
        ordered = sorted(values)
        return cls(ordered[0], median(ordered), ordered[-1])


Spreads = dict[str, dict[int, dict[str, Spread]]]
"""By side, by events a request, by figure."""


def spreads(rounds: Iterable[Round]) -> Spreads:
    """Sum up rounds."""
    values: dict[str, dict[int, dict[str, list[float]]]] = {}
    for took in rounds:
        of_size = values.setdefault(took.side, {}).setdefault(took.events_per_request, {})
        for name, value in took.figures.items():
            of_size.setdefault(name, []).append(value)
    return {
        side: {
            size: {name: Spread.of(each) for name, each in figures.items()} for size, figures in sizes.items()
        }
        for side, sizes in values.items()
    }


def ratios(summed: Spreads, ours: str, peer: str, figure: str = "events_s") -> dict[int, float]:
    """Return ours divided by the peer's, medians of one run, by events a request."""
    return {
        size: summed[ours][size][figure].median / summed[peer][size][figure].median for size in summed[ours]
    }
