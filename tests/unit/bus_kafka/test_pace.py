"""Asked once or a hundred times, it calls once; and not again before its time."""

import asyncio
from collections.abc import Callable

import pytest

from bus.kafka.pace import EVERY_S, Pace

Call = tuple[float, Callable[[], object]]


class Loop:
    """A loop whose time and turns are the test's."""

    def __init__(self) -> None:
        self.now = 50.0
        self.due: list[Call] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, call: Callable[[], object]) -> None:
        self.call_at(self.now, call)

    def call_at(self, when: float, call: Callable[[], object]) -> None:
        self.due.append((when, call))

    def run_until(self, when: float) -> None:
        """Go on to a time, and make the calls that are due by then."""
        self.now = when
        due = [call for at, call in self.due if at <= when]
        self.due = [each for each in self.due if each[0] > when]
        for call in due:
            call()


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    loop = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    return loop


def test_the_first_call_comes_in_the_next_turn(loop: Loop) -> None:
    calls: list[float] = []
    pace = Pace(lambda: calls.append(loop.now))
    for _ in range(100):
        pace.ask()
    assert not calls
    loop.run_until(50.0)
    assert calls == [50.0]
    assert not loop.due


def test_the_next_call_waits_for_its_time_and_serves_all_who_asked(loop: Loop) -> None:
    calls: list[float] = []
    pace = Pace(lambda: calls.append(loop.now))
    pace.ask()
    loop.run_until(50.0)
    loop.now = 50.0 + EVERY_S / 4
    for _ in range(100):
        pace.ask()
    loop.run_until(50.0 + EVERY_S / 2)
    assert calls == [50.0]
    loop.run_until(50.0 + EVERY_S)
    assert calls == [50.0, 50.0 + EVERY_S]
    assert not loop.due


def test_after_a_pause_nothing_waits(loop: Loop) -> None:
    calls: list[float] = []
    pace = Pace(lambda: calls.append(loop.now))
    pace.ask()
    loop.run_until(50.0)
    loop.now = 60.0
    pace.ask()
    loop.run_until(60.0)
    assert calls == [50.0, 60.0]


def test_who_is_called_may_ask_again(loop: Loop) -> None:
    calls: list[float] = []

    def again() -> None:
        calls.append(loop.now)
        if len(calls) < 3:
            pace.ask()

    pace = Pace(again, every_s=1.0)
    pace.ask()
    for when in (50.0, 50.5, 51.0, 51.5, 52.0):
        loop.run_until(when)
    assert calls == [50.0, 51.0, 52.0]


def test_a_call_that_fails_does_not_end_it(loop: Loop) -> None:
    calls: list[float] = []

    def fails() -> None:
        calls.append(loop.now)
        raise OSError("of the release")

    pace = Pace(fails)
    for when in (50.0, 51.0):
        pace.ask()
        with pytest.raises(OSError, match="of the release"):
            loop.run_until(when)
    assert calls == [50.0, 51.0]
