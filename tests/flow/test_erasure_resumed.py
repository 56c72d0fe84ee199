"""A worker is killed, a person is erased, the next worker goes on: nothing comes back, the books balance."""

import signal
from pathlib import Path

import pytest

from tests.flow import erasing, person_child
from tests.flow.erasing import (
    ANN,
    ANNS,
    JOANN,
    eraser_of,
    erasure,
    event,
    forget_log,
    naming,
    request,
    send,
)
from tests.flow.whole import Whole
from tests.flow.worker_child import ended

whole = erasing.whole


@pytest.mark.parametrize(
    "crash_at",
    [
        "after_intent",  # links are in the registry, nothing is in the warehouse
        "after_insert:1",  # patches are there, and no event
        "after_insert:2",  # events are there
        "after_store",  # all is there, the range is still open
    ],
)
async def test_an_open_range_does_not_bring_an_erased_person_back(whole: Whole, crash_at: str) -> None:
    await send(whole, event({**ANN, "firstName": "Ann's Street"}))
    await send(whole, event(ANN, value=2), event(JOANN))
    process = person_child.start(whole.settings, crash_at=crash_at)
    assert await ended(process) == -signal.SIGKILL, (Path(whole.settings.home) / "worker.log").read_text()
    erasure_id = await request(whole, "1", "email", "ann@example.com")
    await eraser_of(whole, settle_s=3600).advance(erasure_id)
    assert await naming(whole, ["Ann's Street"]) == []
    await whole.settle()
    await whole.books()
    assert await whole.query("SELECT JSONExtractString(raw, 'customer', 'id') AS id FROM events") == [
        {"id": "cust-joann"}
    ]
    work = eraser_of(whole)
    await work.advance(erasure_id)
    await whole.books()
    places = await whole.query(
        "SELECT topic, kp, ko, count() AS outcomes FROM outcomes GROUP BY topic, kp, ko HAVING outcomes > 1"
    )
    assert places == []
    forget_log(whole)
    await work.advance(erasure_id)
    assert (await erasure(whole, erasure_id)).state == "done"
    assert await naming(whole, ANNS) == []
