"""Minimum, median, maximum and ratios of rounds."""

import pytest

from bench.rounds import Round
from bench.spread import Spread, ratios, spreads


def took(side: str, size: int, events_s: float) -> Round:
    return Round(side, size, acked=1, landed=1, failed={}, figures={"events_s": events_s})


def test_the_median_of_an_even_number_lies_between() -> None:
    assert Spread.of([4.0, 1.0, 3.0, 2.0]) == Spread(1.0, 2.5, 4.0)


def test_no_repetition_has_no_spread() -> None:
    with pytest.raises(IndexError):
        Spread.of([])


def test_rounds_are_summed_by_side_and_size() -> None:
    summed = spreads([took("ours", 1, 10), took("peer", 1, 20), took("ours", 1, 30), took("ours", 100, 7)])
    assert summed["ours"][1]["events_s"] == Spread(10, 20, 30)
    assert summed["ours"][100]["events_s"].median == 7
    assert summed["peer"][1]["events_s"] == Spread(20, 20, 20)


def test_a_ratio_is_of_medians() -> None:
    rounds = [took("ours", 1, events_s) for events_s in (1, 50, 60)]
    rounds += [took("peer", 1, events_s) for events_s in (99, 100, 5_000)]
    assert ratios(spreads(rounds), "ours", "peer") == {1: 0.5}
