"""The stage `person` beside its rules: what it remembers of devices, and what it counts."""

import pytest

from schemas.event import CONSENT_ALL
from schemas.topics import RAW, Partition
from tests.contract import customers_contract, test_persons
from tests.contract.person_events import TENANT, Desk, customer, visit
from workers import metrics
from workers.consent import BITS
from workers.stage import Unavailable
from workers.stages import person as stage

settings = test_persons.settings
registry = test_persons.registry
desk = customers_contract.desk


async def test_a_device_has_one_pace_whoever_it_is_of(desk: Desk) -> None:
    worker = desk.worker()
    mine = [visit(1, "visitor-1"), visit(2, "visitor-1", "user-1"), visit(3, "visitor-1", source="other")]
    others = [
        visit(4, "visitor-2"),
        visit(5, "visitor-1", tenant_id=2),
        visit(6, "visitor-1", dialect="relo"),
    ]
    await desk.judge(*mine, *others, by=worker)
    worker.taken_over(Partition(RAW, 0))
    later = visit(7, "visitor-1", "user-2")
    await desk.judge(later, by=worker)
    assert len({id(each.pace) for each in (*mine, later)}) == 1
    assert len({id(each.pace) for each in (later, *others)}) == 4


async def test_a_device_that_may_not_be_known_has_no_pace(desk: Desk) -> None:
    unknown = visit(1, "visitor-1", allowed=CONSENT_ALL - BITS["identity"])
    await desk.judge(unknown)
    assert unknown.pace is None


async def test_devices_are_bounded_however_long_their_names(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "DEVICES_MAX", 10)
    worker = desk.worker()
    for first in (0, 9, 18):
        await desk.judge(*[visit(n, f"{n}" * 20_000) for n in range(first, first + 9)], by=worker)
    assert len(worker._devices) <= 10
    assert all(len(key) < 200 for key in worker._devices._young[TENANT, "alana"])


async def test_a_conflict_is_counted_once_however_often_its_batch_is_tried(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count() -> float:
        return metrics.PERSON_CONFLICTS.labels("belongs_to_another")._value.get()  # type: ignore[no-any-return]

    worker = desk.worker()
    both = {"id": "cust-1", "email": "bob@shop.example"}
    await desk.judge(customer(1, "cust-1"), customer(2, "cust-2", both["email"]), by=worker)
    await desk.judge(customer(3, **both), by=worker)
    before = count()
    with monkeypatch.context() as down:

        async def refuse(batch: object) -> None:
            raise Unavailable("down")

        down.setattr(worker._resolver, "resolve", refuse)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await worker.judge([customer(4, **both), customer(5, "cust-3")])
    assert count() == before
    again = customer(4, **both)
    await desk.judge(again, customer(5, "cust-3"), by=worker)
    assert again.flags == [stage.CONFLICT]
    assert count() == before + 1
