import asyncio
from collections.abc import Sequence

import pytest

from bus import holdings
from bus.base import Claim, LogChanged
from bus.holdings import Holdings, check_position
from schemas.topics import Partition


def claim(index: int, epoch: int = 1) -> Claim:
    return Claim(Partition("t", index), 1, epoch, None, "", 0, 10)


class Owner:
    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.revokes: list[list[int]] = []

    async def assigned(self, claims: Sequence[Claim]) -> dict[Partition, int]:
        await self.gate.wait()
        return {claim.partition: 7 for claim in claims}

    async def revoked(self, claims: Sequence[Claim]) -> None:
        self.revokes.append([claim.partition.index for claim in claims])
        await self.gate.wait()


async def test_nothing_is_due_before_the_owner_said_where_to_start() -> None:
    owner = Owner()
    owner.gate.clear()
    held = Holdings(owner)
    gaining = asyncio.create_task(held.gain([claim(0)]))
    await asyncio.sleep(0)
    assert held.claims() == [claim(0)]
    assert held.due() == []
    owner.gate.set()
    await gaining
    assert [(h.claim, h.position) for h in held.due()] == [(claim(0), 7)]


async def test_nothing_is_due_while_the_owner_gives_up_but_commits_may_go_on() -> None:
    owner = Owner()
    held = Holdings(owner)
    await held.gain([claim(0), claim(1)])
    owner.gate.clear()
    losing = asyncio.create_task(held.lose([claim(1)]))
    await asyncio.sleep(0)
    assert [h.claim.partition.index for h in held.due()] == [0]
    assert held.claims() == [claim(0), claim(1)]
    owner.gate.set()
    await losing
    assert held.claims() == [claim(0)]
    assert owner.revokes == [[1]]


async def test_an_owner_that_never_gives_up_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holdings, "REVOKE_S", 0.01)
    owner = Owner()
    held = Holdings(owner)
    await held.gain([claim(0)])
    owner.gate.clear()
    await held.lose([claim(0)])
    assert held.claims() == []
    assert not held.failed


async def test_an_error_of_the_owner_is_kept_for_take() -> None:
    class Broken(Owner):
        async def revoked(self, claims: Sequence[Claim]) -> None:
            raise ZeroDivisionError("as planned")

    held = Holdings(Broken())
    await held.gain([claim(0)])
    await held.lose([claim(0)])
    assert held.claims() == []
    with pytest.raises(ZeroDivisionError):
        held.due()


async def test_a_claim_of_an_earlier_ownership_touches_nothing() -> None:
    held = Holdings(Owner())
    await held.gain([claim(0, epoch=2)])
    held.pause([claim(0, epoch=1)], paused=True)
    await held.lose([claim(0, epoch=1)])
    assert [h.paused for h in held.due()] == [False]


def test_a_position_must_be_in_the_log_or_at_its_end() -> None:
    check_position(claim(0), 3, 3, 10)
    check_position(claim(0), 10, 3, 10)
    with pytest.raises(LogChanged, match=r"t/0: offset 2 is gone; the log starts at 3"):
        check_position(claim(0), 2, 3, 10)
    with pytest.raises(LogChanged, match=r"offset 11 was never there; the log ends at 10"):
        check_position(claim(0), 11, 3, 10)
