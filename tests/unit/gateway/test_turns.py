"""Long work gives the loop away when its turn is over, and not before."""

import asyncio

import pytest

from gateway import turns
from gateway.turns import TURN_S, Turn


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(turns, "perf_counter", clock)
    return clock


async def others_ran(turn: Turn) -> bool:
    """Ask whether the turn is over; tell whether anything else got to run."""
    ran: list[bool] = []
    asyncio.get_running_loop().call_soon(ran.append, True)
    await turn.over()
    got = bool(ran)
    await asyncio.sleep(0)
    return got


async def test_within_its_turn_nobody_else_runs(clock: Clock) -> None:
    turn = Turn()
    clock.now += TURN_S * 0.9
    assert not await others_ran(turn)


async def test_after_it_the_others_run_and_a_new_one_begins(clock: Clock) -> None:
    turn = Turn()
    clock.now += TURN_S
    assert await others_ran(turn)
    assert not await others_ran(turn)
    clock.now += TURN_S
    assert await others_ran(turn)


async def test_a_wait_does_not_count(clock: Clock) -> None:
    turn = Turn()
    clock.now += 10
    turn.begin()
    clock.now += TURN_S * 0.9
    assert not await others_ran(turn)
