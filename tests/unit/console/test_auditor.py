"""The books in the api: who may see them, what is exported, what is said where they do not balance."""

import asyncio
import logging

import pytest
from prometheus_client import REGISTRY

from bus.base import Record
from bus.memory import MemoryBus, MemoryLog
from console import auditor, metrics
from console.auditor import Auditor, report
from console.ledger import Books, Line
from schemas.topics import DEAD, RAW, Partition
from stores.base import StoreUnavailable
from stores.warehouse import ClickHouse
from tests.unit.console.conftest import Api

LEDGER = "/penstock/v1/ledger"
KEYS = (
    "topic",
    "partition",
    "inc",
    "received",
    "stored",
    "duplicate",
    "dropped",
    "dead",
    "erased",
    "in_flight",
    "gaps",
    "overlaps",
)


def line(topic: str = RAW, partition: int = 0, **figures: int) -> Line:
    given = dict.fromkeys(KEYS[3:], 0) | figures
    return Line(topic=topic, partition=partition, inc=1, **given)


def gauge(name: str, topic: str) -> float | None:
    return REGISTRY.get_sample_value(f"penstock_api_ledger_{name}", {"topic": topic})


def audits(result: str) -> float:
    return REGISTRY.get_sample_value("penstock_api_audits_total", {"result": result}) or 0


async def test_only_the_operator_sees_the_ledger(api: Api) -> None:
    assert (await api.get(LEDGER)).status_code == 401
    for token in ("one-read", "one-write"):
        assert (await api.get(LEDGER, token)).status_code == 403
    assert (await api.get(LEDGER, "one-read")).json()["code"] == "admin_only"
    await api.bus.publish(RAW, [Record(b"1|a", b"x")])
    answer = await api.get(LEDGER, "one-admin")
    assert answer.status_code == 200
    books = answer.json()
    assert books["balanced"]
    assert len(books["partitions"]) == 6
    assert all(tuple(found) == KEYS for found in books["partitions"])
    assert sum(found["in_flight"] for found in books["partitions"]) == 1


async def test_a_ledger_that_cannot_be_made(api: Api) -> None:
    api.bus.down = True
    answer = await api.get(LEDGER, "one-admin")
    assert (answer.status_code, answer.json()["code"]) == (503, "bus_unavailable")
    assert answer.headers["Retry-After"] == "1"
    api.bus.down = False
    api.bus.log.group(RAW, "penstock-events").offsets[0] = (7, "v1;inc=1")
    answer = await api.get(LEDGER, "one-admin")
    assert (answer.status_code, answer.json()["code"]) == (503, "log_changed")
    assert "PENSTOCK_BUS_INCARNATION" in answer.json()["message"]


def test_what_is_found_is_exported_per_topic(caplog: pytest.LogCaptureFixture) -> None:
    unbalanced, balanced = audits("unbalanced"), audits("balanced")
    found = [line(gaps=2, in_flight=5), line(partition=1, gaps=1, overlaps=3), line(DEAD, in_flight=1)]
    with caplog.at_level(logging.ERROR):
        report(Books(found, {Partition(RAW, 0): [4, 5]}))
    assert [gauge(name, RAW) for name in ("gaps", "overlaps", "in_flight")] == [3, 3, 5]
    assert [gauge(name, DEAD) for name in ("gaps", "overlaps", "in_flight")] == [0, 0, 1]
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "events.raw/0" in caplog.messages[0]
    assert "(4-5)" in caplog.messages[0]
    assert (audits("unbalanced"), audits("balanced")) == (unbalanced + 1, balanced)
    caplog.clear()
    with caplog.at_level(logging.ERROR):
        report(Books([line()], {}))
    assert gauge("gaps", RAW) == 0
    assert audits("balanced") == balanced + 1
    assert caplog.records == []


async def test_it_goes_on_after_a_failure(
    warehouse: ClickHouse, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[Exception] = [StoreUnavailable("down"), KeyError("a fault of ours")]
    done = asyncio.Event()

    async def ledger(*_: object, history: bool) -> Books:
        assert not history
        if errors:
            raise errors.pop(0)
        done.set()
        return Books([line(in_flight=9)], {})

    monkeypatch.setattr(auditor, "ledger", ledger)
    monkeypatch.setattr(auditor, "EVERY_S", 0.0)
    failed = audits("failed")
    with caplog.at_level(logging.WARNING):
        async with Auditor(MemoryBus(MemoryLog(partitions=1, inc=1)), warehouse, 1).running():
            await asyncio.wait_for(done.wait(), 10)
            await asyncio.sleep(0)
    assert audits("failed") == failed + 2
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
    assert metrics.AUDITED_AT._value.get() > 0
