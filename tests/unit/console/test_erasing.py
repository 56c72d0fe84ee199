"""The task beside the api: it goes on whatever fails, says how many there are, and ends when it is told."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from bus.memory import MemoryBus
from console.erasure import running
from console.erasure.eraser import Eraser
from console.erasure.running import Erasing
from schemas.erasures import Subject
from schemas.persons import identifier
from stores.base import StoreUnavailable
from stores.registry import SqlRegistry
from stores.warehouse import ClickHouse
from tests.unit.console.conftest import Api


def erasures(state: str) -> float | None:
    return REGISTRY.get_sample_value("penstock_api_erasures", {"state": state})


def failures() -> float:
    return REGISTRY.get_sample_value("penstock_api_erasure_failures_total") or 0


async def test_it_brings_erasures_on(
    api: Api, registry: SqlRegistry, warehouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "EVERY_S", 0.01)
    monkeypatch.setattr(running, "REST_PER_WORK", 0)
    named = identifier(1, "relo", "email", "ann@example.com")
    made = await registry.request_erasure(Subject(1, "relo", (), (named,)), asked_by="ops", found={})
    eraser = Eraser(api.bus, warehouse, registry, settle_s=0)
    before = failures()
    api.bus.down = True
    async with Erasing(eraser, registry).running():
        async with asyncio.timeout(30):
            while failures() == before:
                await asyncio.sleep(0.01)
            found = await registry.erasure(made.erasure_id)
            assert found is not None
            assert (found.state, bool(found.progress.problem)) == ("erasing", True)
            api.bus.down = False
            while erasures("done") != 1:
                await asyncio.sleep(0.01)
    found = await registry.erasure(made.erasure_id)
    assert found is not None
    assert (found.state, found.progress.problem, found.progress.erased) == ("done", "", {})
    assert found.progress.log_until is None  # this bus keeps records for good; there are none


async def test_a_fault_does_not_end_it(
    registry: SqlRegistry, warehouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "EVERY_S", 0.0)
    calls: list[int] = []

    async def fail(self: Eraser) -> int:
        calls.append(len(calls))
        if len(calls) == 1:
            raise ValueError("a bug")
        if len(calls) == 2:
            raise StoreUnavailable("down")
        return 0

    monkeypatch.setattr(Eraser, "advance_all", fail)
    bus = MemoryBus.__new__(MemoryBus)  # never asked
    async with Erasing(Eraser(bus, warehouse, registry), registry).running(), asyncio.timeout(30):
        while len(calls) < 3:
            await asyncio.sleep(0.01)
