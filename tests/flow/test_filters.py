"""Automation filters over the whole way: from an event that was sent to the webhook that tells of it."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bus.base import Record, Taken
from schemas.matches import match_id
from schemas.topics import MATCHED
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow.webhooks import add, hurry, sending, until
from tests.flow.whole import REDO, RELO, Whole, open_whole
from tests.unit.workers.receiver import Receiver, receiving, status
from workers.webhooks import endpoints

BULK = "/v2.2/stores/dev-store/events/bulk"
ORDERS = {"event": "Order Placed", "where": {"property": "Total", "operator": ">", "value": 50}}


@pytest.fixture
async def whole(clickhouse: EmbeddedClickHouse, tmp_path: Path) -> AsyncIterator[Whole]:
    async with open_whole(clickhouse, "flow_filters", tmp_path) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


def order(total: object, **more: Any) -> dict[str, Any]:
    return {
        "eventName": "Order Placed",
        "customer": {"email": "ann@a.example"},
        "data": {"Total": total},
        **more,
    }


async def send(whole: Whole, *events: Mapping[str, Any]) -> None:
    answer = await whole.send(BULK, {"events": events}, REDO)
    assert answer.status_code == 202, answer.text
    await whole.settle()


async def matches(whole: Whole) -> list[Taken]:
    return [
        taken
        for partition, (first, end) in (await whole.bus.ends(MATCHED)).items()
        for taken in await whole.bus.read(partition, start=first, end=end)
    ]


async def test_an_event_that_matches_is_told_of_once_and_signed(whole: Whole, receiver: Receiver) -> None:
    filter_ = await add(whole, ORDERS, receiver.url)
    quiet = await add(whole, {"event": None}, name="Everything")
    async with sending(whole):
        await send(
            whole, order(59.99, uniqueId="o-1", value=59.99, valueCurrency="USD"), order(50), order("60")
        )
        await send(whole, order(59.99, uniqueId="o-1"))  # a duplicate matches nothing
        await until(whole.use.registry, 1, "delivered")
    [(headers, body)] = receiver.got
    told = json.loads(body)
    [stored] = await whole.query("SELECT toString(event_id) AS id FROM events WHERE value = 59.99")
    assert told["id"] == headers["penstock-id"] == match_id(filter_.filter_id, stored["id"])
    assert told["filter"] == {"id": filter_.filter_id, "name": "Orders"}
    assert told["tenant_id"] == 1
    event = told["event"]
    assert (event["event_name"], event["email"], event["value"]) == ("Order Placed", "ann@a.example", 59.99)
    assert event["properties"] == {"Total": 59.99}
    signed = headers["penstock-timestamp"].encode() + b"." + body
    mac = hmac.new(filter_.secret.encode(), signed, hashlib.sha256)
    assert headers["penstock-signature"] == f"v1={mac.hexdigest()}"
    published = [json.loads(taken.value)["filter"]["id"] for taken in await matches(whole)]
    assert sorted(published) == sorted([filter_.filter_id] + [quiet.filter_id] * 3)


async def test_a_match_that_comes_again_is_not_sent_again(whole: Whole, receiver: Receiver) -> None:
    await add(whole, ORDERS, receiver.url)
    async with sending(whole):
        await send(whole, order(60), order(70))
        await until(whole.use.registry, 2, "delivered")
        again = await matches(whole)
        await whole.bus.publish(MATCHED, [Record(one.key, one.value, one.headers) for one in again] * 2)
        await send(whole, order(80))
        await until(whole.use.registry, 3, "delivered")
    assert len(receiver.ids) == len(set(receiver.ids)) == 3


async def test_what_is_withheld_never_leaves(whole: Whole, receiver: Receiver) -> None:
    """Without consent to analytics nothing matches; without third parties nothing is sent."""
    await add(whole, {"event": "page_view"}, receiver.url)

    async def view(device: str, consent: int) -> None:
        viewed = {"t": "page_view", "ts": 1_775_131_200_000, "cid": 3, "did": device, "consent": consent}
        props = {"url": "https://a.example/?secret=1", "user_id": "u-1", "x": 1}
        answer = await whole.send("/ingest/batch", {"events": [viewed | {"props": props}]}, RELO)
        assert answer.json()["accepted"] == 1, answer.text

    await view("none", 0xFE)
    await view("inside", 0xFF - 32)
    await view("cut", 0xFF - 2)
    await view("all", 0xFF)
    async with sending(whole):
        await whole.settle()
        await until(whole.use.registry, 2, "delivered")
    told = {event["anonymous_id"]: event for _, body in receiver.got for event in [json.loads(body)["event"]]}
    assert set(told) == {"cut", "all"}
    assert told["all"]["user_id"] == "u-1"
    assert told["all"]["properties"]["x"] == 1
    assert told["cut"]["user_id"] == ""
    assert "secret" not in json.dumps(told["cut"])
    inside = {json.loads(taken.value)["event"]["anonymous_id"] for taken in await matches(whole)}
    assert inside == {"inside", "cut", "all"}


async def test_a_receiver_that_fails_gets_it_later(whole: Whole, receiver: Receiver) -> None:
    registry = whole.use.registry
    await add(whole, ORDERS, receiver.url)
    receiver.answers = [
        status(500),
        status(302, "Location: http://127.0.0.1:1/"),
        status(429, "Retry-After: 1"),
        status(200),
    ]
    async with sending(whole):
        await send(whole, order(60))
        for number in (1, 2, 3):
            await receiver.until(number)
            async with asyncio.timeout(30):
                while (await registry.list_deliveries(1))[0].attempts < number:
                    await asyncio.sleep(0.02)
            assert (await registry.list_deliveries(1))[0].due_at > 0
            await hurry(registry)
        [done] = await until(registry, 1, "delivered")
    assert (done.attempts, done.status) == (4, 200)
    assert len(set(receiver.ids)) == 1
    assert len(receiver.got) == 4


async def test_a_receiver_that_is_down_gets_it_when_it_is_up(whole: Whole, unused_port: int) -> None:
    registry = whole.use.registry
    await add(whole, ORDERS, f"http://127.0.0.1:{unused_port}/")
    async with sending(whole):
        await send(whole, order(60))
        async with asyncio.timeout(30):
            while not (found := await registry.list_deliveries(1)) or not found[0].attempts:
                await asyncio.sleep(0.02)
        assert found[0].reason == "the request failed: ClientConnectorError"
        async with receiving() as receiver:
            filter_ = (await registry.list_filters(1))[0]
            await registry.replace_filter(
                1, filter_.filter_id, "Orders", filter_.conditions, url=receiver.url
            )
            await hurry(registry)
            await until(registry, 1, "delivered")
    assert len(receiver.got) == 1


async def test_an_endpoint_that_hangs_holds_up_nobody(whole: Whole, receiver: Receiver) -> None:
    registry = whole.use.registry
    async with receiving() as slow:
        slow.answers = [b""]
        await add(whole, ORDERS, slow.url, name="Slow")
        good = await add(whole, ORDERS, receiver.url, name="Good")
        async with sending(whole):
            await send(whole, *(order(60 + n) for n in range(40)))
            await until(registry, 40, "delivered")
            assert len(slow.got) <= endpoints.ROOM
            slow.released.set()
    assert {one.filter_id for one in await registry.list_deliveries(1, state="delivered")} == {good.filter_id}
    assert len(set(receiver.ids)) == 40


async def test_the_breaker_spares_attempts(whole: Whole, receiver: Receiver) -> None:
    """Whoever fails five times in a row is left alone; an operator may lift that."""
    registry = whole.use.registry
    receiver.answers = [status(500)]
    await add(whole, ORDERS, receiver.url)
    async with sending(whole):
        await send(whole, *(order(60 + n) for n in range(30)))
        await receiver.until(endpoints.FAILURES_MAX)
        await asyncio.sleep(1.5)
    assert len(receiver.got) <= endpoints.FAILURES_MAX + endpoints.ROOM - 1
    untried = [one for one in await registry.list_deliveries(1) if not one.attempts]
    assert len(untried) >= 30 - len(receiver.got)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_no_webhook_to_this_machine(whole: Whole, receiver: Receiver, host: str) -> None:
    """A name that points here is dead at once, visible, and replayed once it may be."""
    registry = whole.use.registry
    await add(whole, ORDERS, f"https://{host}:{receiver.port}/hook")
    async with sending(whole, private=False):
        await send(whole, order(60))
        [dead] = await until(registry, 1, "dead")
    assert dead.attempts == 1
    assert "private, link-local, loopback" in dead.reason
    assert receiver.got == []
    code, [shown], _ = await whole.penstock("filter", "deliveries", "Orders", "--dead")
    assert (code, shown["id"], shown["state"]) == (0, dead.match_id, "dead")
    filter_ = (await registry.list_filters(1))[0]
    await registry.replace_filter(1, filter_.filter_id, "Orders", filter_.conditions, url=receiver.url)
    code, told, errors = await whole.penstock("filter", "replay", "Orders", "--id", "nobody")
    assert (code, told) == (2, [])
    assert "not a valid UUID" in errors
    code, [told], errors = await whole.penstock("filter", "replay", "Orders", "--id", dead.match_id)
    assert (code, told["replayed"]) == (0, 1), errors
    async with sending(whole):
        await until(registry, 1, "delivered")
    assert receiver.ids == [dead.match_id]


async def test_two_workers_send_each_once(whole: Whole, receiver: Receiver) -> None:
    await add(whole, ORDERS, receiver.url)
    async with sending(whole), sending(whole), sending(whole):
        await send(whole, *(order(60 + n) for n in range(60)))
        await until(whole.use.registry, 60, "delivered")
    assert len(receiver.ids) == len(set(receiver.ids)) == 60


async def test_by_hand(whole: Whole, receiver: Receiver, tmp_path: Path) -> None:
    file = tmp_path / "filter.json"
    file.write_text(json.dumps({"name": "Orders", "conditions": ORDERS, "url": receiver.url}))
    code, _, errors = await whole.penstock("filter", "add", str(file))
    assert (code, "must begin with https://" in errors) == (1, True)
    code, [made], errors = await whole.penstock("filter", "add", str(file), "--webhook-private-addresses")
    assert code == 0, errors
    assert made["secret"].startswith("pk_webhook_")
    code, [listed], _ = await whole.penstock("filter", "list")
    assert (listed["id"], "secret" in listed) == (made["id"], False)
    assert await whole.penstock("filter", "show", "Orders") == (0, [listed], "")
    sample = tmp_path / "event.json"
    for total, meets in ((51, True), (50, False)):
        sample.write_text(json.dumps({"event_name": "Order Placed", "properties": {"Total": total}}))
        tested = await whole.penstock("filter", "test", str(file), "--event", str(sample))
        assert tested == (0, [{"matches": meets}], "")
    await send(whole, order(60), order(10))
    code, [tried], errors = await whole.penstock("filter", "test", str(file))
    assert (code, tried["looked_at"], tried["matched"]) == (0, 2, 1), errors
    assert [one["event_name"] for one in tried["sample"]] == ["Order Placed"]
    code, [removed], _ = await whole.penstock("filter", "remove", "Orders")
    assert (code, removed["removed"]) == (0, True)
    code, told, errors = await whole.penstock("filter", "show", "Orders")
    assert (code, told) == (1, [])
    assert "penstock filter list" in errors
    for content, sentence in (
        ('{"name": "x", "conditions": {"event": "e", "count": 1}}', "a filter judges one event"),
        (
            '{"name": "x", "conditions": {"profile": "email", "operator": "exists"}}',
            "a filter knows the event",
        ),
        (
            '{"name": "x", "conditions": {"event": "e"}, "url": "https://10.0.0.1/"}',
            "must not be private",
        ),
        ('{"conditions": {"event": "e"}}', "missing required field `name`"),
    ):
        file.write_text(content)
        code, told, errors = await whole.penstock("filter", "add", str(file))
        assert (code, told) == (1, [])
        assert sentence in errors
        assert "Traceback" not in errors
