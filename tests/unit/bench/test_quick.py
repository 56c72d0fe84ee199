"""The last line of `make bench-quick`, which other programs read."""

import json

from bench.quick import last_line
from bench.rounds import Round
from bench.spread import ratios, spreads


def took(side: str, size: int, events_s: float, *, landed: int = 7) -> Round:
    return Round(side, size, acked=7, landed=landed, failed={}, figures={"events_s": events_s})


def line(rounds: list[Round]) -> dict[str, object]:
    summed = spreads(rounds)
    read: dict[str, object] = json.loads(
        json.dumps(last_line(summed, ratios(summed, "ours", "peer"), rounds))
    )
    return read


def test_it_has_ratios_and_the_peers_figures_by_events_a_request() -> None:
    rounds = [
        took("ours", 1, 50.0),
        took("peer", 1, 100.0),
        took("ours", 1_000, 30.0),
        took("peer", 1_000, 20.4),
    ]
    assert line(rounds) == {
        "ratio_to_peer": {"1": 0.5, "1000": 1.471},
        "peer_events_s": {"1": 100, "1000": 20},
        "landed_equals_acked": True,
    }


def test_one_event_that_has_not_landed_is_told() -> None:
    assert line([took("ours", 1, 1.0), took("peer", 1, 1.0, landed=6)])["landed_equals_acked"] is False
