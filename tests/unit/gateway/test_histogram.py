"""Our histograms count and are exposed as those of prometheus_client, which scrapers are made for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Histogram as Reference

from gateway.histogram import Histogram
from gateway.metrics import BYTES, SECONDS, Metrics

ENDPOINTS = ("relo.batch", 'a "quoted\\" name\n')


def exposed(registry: CollectorRegistry) -> list[str]:
    """Return the lines, without the times at which prometheus_client made its series: ours have none."""
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


@pytest.mark.parametrize("bounds", [SECONDS, BYTES])
@given(values=st.lists(st.tuples(st.sampled_from(ENDPOINTS), st.floats(0, 2**26) | st.sampled_from(BYTES))))
def test_it_is_exposed_like_the_reference(bounds: tuple[float, ...], values: list[tuple[str, float]]) -> None:
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    reference = Reference("h", "What it is.", ["endpoint"], buckets=bounds, registry=theirs)
    histogram = Histogram("h", "What it is.", bounds, "endpoint")
    ours.register(histogram)
    for endpoint, value in values:
        reference.labels(endpoint).observe(value)
        histogram.of(endpoint).observe(value)
    assert exposed(ours) == exposed(theirs)


@pytest.mark.parametrize("values", [[], [0.001], [0.0011, 11.0, 0.0]])
def test_without_a_label_it_is_there_from_the_start(values: list[float]) -> None:
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    reference = Reference("h", "What it is.", buckets=SECONDS, registry=theirs)
    histogram = Histogram("h", "What it is.", SECONDS)
    ours.register(histogram)
    for value in values:
        reference.observe(value)
        histogram.of("").observe(value)
    assert exposed(ours) == exposed(theirs)


def test_a_value_on_a_bound_belongs_to_it() -> None:
    histogram = Histogram("h", "What it is.", (1.0, 2.0))
    histogram.of("").observe(1.0)
    assert histogram.of("").exposed() == ([("1.0", 1), ("2.0", 1), ("+Inf", 1)], 1.0)


def test_a_name_is_taken_once() -> None:
    """Also before anything was observed."""
    metrics = Metrics()
    with pytest.raises(ValueError, match="Duplicated"):
        metrics.registry.register(Histogram("penstock_gateway_body_bytes", "Twice.", BYTES, "endpoint"))
