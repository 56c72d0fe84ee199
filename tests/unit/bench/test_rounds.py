"""Sides take turns; a round that would not end in time is not begun."""

import time

import pytest

from bench import rounds
from bench.rounds import Round, interleave, load_arguments
from bench.sides import Side

OURS = Side("ours", 1, "a", [], ("-tokens", "file"))
PEER = Side("peer", 2, "b", [])


def one(side: Side, size: int) -> Round:
    figures = {"events_s": 1.0, "p50_ms": 1.0}
    return Round(side.name, size, acked=1, landed=1, failed={}, figures=figures)


def test_sides_take_turns_within_each_size_of_each_round() -> None:
    said: list[str] = []
    taken = interleave((OURS, PEER), (1, 100), 2, one, say=said.append)
    once = [("ours", 1), ("peer", 1), ("ours", 100), ("peer", 100)]
    assert [(took.side, took.events_per_request) for took in taken] == once * 2
    assert len(said) == len(taken)


def test_the_first_round_is_always_made_and_no_other_past_the_time() -> None:
    said: list[str] = []
    taken = interleave((OURS, PEER), (1,), 5, one, say=said.append, until=time.monotonic() - 1)
    assert [took.side for took in taken] == ["ours", "peer"]
    assert said[-1] == "the time is up after 1 of 5 rounds"


@pytest.mark.parametrize("size", rounds.CONNECTIONS)
def test_only_our_answers_name_how_many_were_accepted(size: int) -> None:
    ours, peer = load_arguments(OURS, size, 1.0), load_arguments(PEER, size, 1.0)
    assert ours[ours.index("-expect") + 1] == f'"accepted":{size},'
    assert "-expect" not in peer
