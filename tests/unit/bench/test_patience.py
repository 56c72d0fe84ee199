"""A server that does not answer for a while is asked again; one that stays away is told."""

import pytest

from bench.patience import patiently
from bus.base import BusUnavailable
from stores.base import StoreUnavailable


def test_it_asks_until_there_is_an_answer() -> None:
    outcomes: list[Exception | int] = [BusUnavailable("starved"), StoreUnavailable("starved"), 7]

    def ask() -> int:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert patiently(ask) == 7
    assert outcomes == []


def test_it_gives_up_in_the_end() -> None:
    def ask() -> None:
        raise BusUnavailable("away")

    with pytest.raises(BusUnavailable, match="away"):
        patiently(ask, seconds=0)
