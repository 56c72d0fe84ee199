"""A person is erased while webhooks have something to send: it is exported, and it never leaves."""

import asyncio
import json
from pathlib import Path

from stores.registry import SqlRegistry
from tests.flow import erasing
from tests.flow.erasing import ANN, JOANN, eraser_of, erasure, event, request, send
from tests.flow.webhooks import add, hurry, sending, until
from tests.flow.whole import Whole
from tests.unit.workers.receiver import receiving, status

whole = erasing.whole


async def test_no_webhook_is_sent_after_the_erasure(whole: Whole) -> None:
    """Neither what waited, nor what the worker webhooks had not read yet."""
    registry = whole.use.registry
    async with receiving() as receiver:
        receiver.answers = [status(503)]
        await add(whole, {"event": None}, receiver.url)
        async with sending(whole):
            await send(whole, event(ANN), event(JOANN))
            await whole.settle()
            await receiver.until(2)
            await tried(registry, 2)
        await send(whole, event(ANN), event(JOANN))
        await whole.settle()  # in the topic, while nobody reads it
        erasure_id = await request(whole, "1", "id", "cust-ann")
        await eraser_of(whole).advance(erasure_id)
        before = len(receiver.got)
        receiver.answers = [status(200)]
        _, [told], _ = await whole.penstock("filter", "replay", "Orders")
        assert told["replayed"] == 0
        await hurry(registry)
        async with sending(whole):
            await until(registry, 2, "delivered")
            ended = await until(registry, 2, "erased")
        assert sorted(one.reason for one in ended) == sorted([erasure_id, "suppressed"])
        assert all(b"joann@example.com" in body for _, body in receiver.got[before:])
        assert await registry.waiting_deliveries() == (0, 0)
        assert (await erasure(whole, erasure_id)).progress.deliveries == 1


async def tried(registry: SqlRegistry, number: int) -> None:
    """Return when so many deliveries were tried in vain, and that is on record."""
    async with asyncio.timeout(60):
        while sum(one.attempts > 0 for one in await registry.list_deliveries(1)) < number:
            await asyncio.sleep(0.05)


async def test_an_export_is_all_that_there_is(whole: Whole, tmp_path: Path, unused_port: int) -> None:
    await send(whole, event({**ANN, "firstName": "Ann"}), event(ANN, uniqueId="u"), event(JOANN))
    await send(whole, event(ANN, uniqueId="u"), {"eventName": "", "customer": ANN})
    await add(whole, {"property": "Bought", "operator": "exists"}, f"http://127.0.0.1:{unused_port}/")
    await send(whole, *(event(each, data={"Bought": 1}) for each in (ANN, JOANN)))
    async with sending(whole):
        await whole.settle()
        await until(whole.use.registry, 2, "waiting")
    file = tmp_path / "ann.jsonl"
    status, told, _ = await whole.penstock("person", "export", "1", "id", "cust-ann", "-o", str(file))
    assert (status, told) == (0, [])
    assert file.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["part"] for line in lines] == [
        "person",
        "profile",
        *("event", "event", "event"),
        "outcome",
        "quarantine",
        "delivery",
    ]
    assert lines[-1]["state"] == "waiting"
    assert lines[-1]["body"]["event"]["email"] == "ann@example.com"
    person, profile, first, *_ = lines
    assert {each["value"] for each in person["identifiers"]} == set(ANN.values())
    assert profile["fields"]["firstName"] == "Ann"
    assert json.loads(first["raw"])["customer"]["firstName"] == "Ann"
    assert not any("joann" in json.dumps(line) for line in lines)
    _, streamed, _ = await whole.penstock("person", "export", "1", "id", "cust-ann")
    assert streamed == lines
