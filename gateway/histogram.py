"""Histograms for the request path: the ones of prometheus_client look through their buckets under locks.

Here one loop counts, so an observation is a bisection and two additions: 0.3 µs instead of 6.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Observations:
    """What was observed for one value of the label."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value; a bucket's bound belongs to it."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def exposed(self) -> tuple[list[tuple[str, float]], float]:
        """Return the buckets as they are exposed, each with all below it, and the sum."""
        names = [*(floatToGoString(bound) for bound in self._bounds), "+Inf"]  # type: ignore[no-untyped-call]
        return list(zip(names, accumulate(self._counts), strict=True)), self._sum


class Histogram(Collector):
    """A histogram with one label, or with none. To be moved by one thread only."""

    def __init__(self, name: str, documentation: str, bounds: Sequence[float], label: str = "") -> None:
        self.name = name
        self.documentation = documentation
        self.labels = (label,) if label else ()
        self._bounds = bounds
        self._observed: dict[str, Observations] = {}
        if not label:
            self.of("")

    def of(self, value: str) -> Observations:
        """Return where to count for that value of the label, "" where there is no label."""
        found = self._observed.get(value)
        if found is None:
            found = self._observed[value] = Observations(self._bounds)
        return found

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """Tell the name before anything was observed, for the registry."""
        yield HistogramMetricFamily(self.name, self.documentation, labels=self.labels)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Return what was observed so far."""
        (family,) = self.describe()
        for value, observed in self._observed.items():
            buckets, total = observed.exposed()
            family.add_metric([value] if self.labels else [], buckets, total)
        yield family
