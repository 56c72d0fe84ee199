"""The one request path: its order, its answers, and that every event is counted once."""

import asyncio
import dataclasses
import gzip
import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

import dialects
from bus.base import Record
from dialects.base import Accepted, Dialect, Receipt, Reply
from gateway.publish import Publisher
from stores.registry import demo
from tests.unit.gateway.rig import (
    ALANA,
    ALANA_EVENTS,
    BATCH,
    CONVERSION,
    INSTALL,
    INTERACTIONS,
    JSON,
    REDO,
    REDO_BULK,
    REDO_EVENT,
    RELO,
    TRACK,
    Rig,
    batch,
)

BAD = {"t": "install", "ts": 1_710_244_800_000, "cid": 3}
REDO_OK = {"eventName": "Signed Up", "customer": {"email": "a@shop.example"}, "uniqueId": "u-1"}


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_good_and_bad_events_of_a_batch(rig: Rig) -> None:
    answer = await rig.ask(BATCH, batch(INSTALL, BAD, {**INSTALL, "did": "d-2"}, 7), RELO)
    assert answer.status == 200
    assert (answer.json["accepted"], answer.json["rejected"]) == (2, 2)
    assert [(e["index"], e["field"]) for e in answer.json["errors"]] == [(1, "did"), (3, "")]
    assert [(e.index, e.of, e.source) for e in rig.accepted] == [(0, 2, "3"), (2, 2, "3")]
    assert [(r.index, r.tenant, json.loads(r.raw)) for r in rig.rejected] == [(1, 1, BAD), (3, 1, 7)]
    assert rig.measured("events_accepted_total", endpoint="relo.batch") == 2
    assert rig.measured("events_rejected_total", endpoint="relo.batch") == 2
    assert {UUID(e.id).version for e in rig.accepted} == {8}
    ids = [e.id for e in rig.accepted] + [r.id for r in rig.rejected]
    assert len({UUID(i).bytes[:12] for i in ids}) == 1


async def test_a_retry_of_the_same_bytes_gets_the_same_ids(rig: Rig) -> None:
    sent = json.dumps(batch(INSTALL, INSTALL)).encode()
    await rig.ask(BATCH, sent, RELO)
    await rig.ask(BATCH, gzip.compress(sent), {**RELO, "content-encoding": "gzip"})
    ids = [e.id for e in rig.accepted]
    assert len(ids) == 4
    assert len(set(ids)) == 2
    assert len({e.request for e in rig.accepted}) == 2


async def test_an_idempotency_key_decides(rig: Rig) -> None:
    keyed = {**RELO, "idempotency-key": "k-1"}
    await rig.ask(BATCH, json.dumps(batch(INSTALL)).encode(), keyed)
    await rig.ask(BATCH, json.dumps(batch(INSTALL), indent=1).encode(), RELO)
    other = json.dumps(batch(INSTALL)).replace('{"events": [', '{"events":[').encode()
    await rig.ask(BATCH, other, keyed)
    versions = [UUID(e.id).version for e in rig.accepted]
    assert (versions.count(5), versions.count(8)) == (2, 1)
    assert len({e.id for e in rig.accepted}) == 2


async def test_a_unique_id_is_the_events_own_key(rig: Rig) -> None:
    for _ in range(2):
        assert (await rig.ask(REDO_EVENT, REDO_OK, {**REDO, "idempotency-key": "ignored"})).status == 202
    first, second = rig.accepted
    assert first.id == second.id
    assert UUID(first.id).version == 5


async def test_one_bad_event_alone(rig: Rig) -> None:
    answer = await rig.ask(REDO_EVENT, {"eventName": "x"}, REDO)
    assert (answer.status, answer.code) == (400, "invalid_event")
    assert answer.json["errors"]
    assert len(rig.rejected) == 1
    assert rig.measured("events_rejected_total") == 1
    assert rig.measured("requests_refused_total", code="invalid_event") == 1


@pytest.mark.parametrize(
    ("extra", "status", "code"),
    [
        ({"data": {"x": "a" * 263_000}}, 413, "event_too_large"),
        ({"data": {"x": "a" * 40_000}}, 400, "string_too_long"),
        ({"data": {"x": "\0"}}, 400, "nul_character"),
        ({"data": {"x": 2**63}}, 400, "integer_out_of_range"),
    ],
)
async def test_content_rules_of_a_single_event(
    rig: Rig, extra: dict[str, Any], status: int, code: str
) -> None:
    answer = await rig.ask(REDO_EVENT, {**REDO_OK, **extra}, REDO)
    assert answer.status == status
    assert answer.json["errors"][0]["code"] == code
    assert [r.code for r in rig.rejected] == [code]
    assert rig.rejected[0].truncated is (status == 413)


async def test_bulk_is_silent_about_bad_events(rig: Rig) -> None:
    answer = await rig.ask(REDO_BULK, batch(REDO_OK, {"eventName": ""}), REDO)
    assert (answer.status, answer.body) == (202, b"")
    assert answer.headers["content-length"] == "0"
    assert "content-type" not in answer.headers
    assert (len(rig.accepted), len(rig.rejected)) == (1, 1)


async def test_an_empty_batch_publishes_nothing(rig: Rig) -> None:
    rig.bus.down = True
    assert (await rig.ask(BATCH, batch(), RELO)).json == {"accepted": 0, "rejected": 0, "errors": []}


@pytest.mark.parametrize("events", [(INSTALL,), (BAD,), (INSTALL, BAD)])
async def test_a_bus_that_is_down(rig: Rig, events: tuple[object, ...]) -> None:
    rig.bus.down = True
    answer = await rig.ask(BATCH, batch(*events), RELO)
    assert (answer.status, answer.code) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert rig.measured("events_accepted_total") == rig.measured("events_rejected_total") == 0
    assert rig.measured("publish_failures_total") == 1
    assert rig.operations.bodies.held_bytes == 0


async def test_a_dry_run_answers_the_same_and_stores_nothing(rig: Rig) -> None:
    sent = batch(INSTALL, BAD)
    rig.bus.down = True
    dry = await rig.ask(BATCH, sent, RELO, query="dry_run=1")
    rig.bus.down = False
    real = await rig.ask(BATCH, sent, RELO)
    assert dry.headers["x-dry-run"] == "1"
    assert "x-dry-run" not in real.headers
    assert (dry.status, dry.body) == (real.status, real.body)
    assert len(rig.accepted) == len(rig.rejected) == 1
    refused = await rig.ask(REDO_EVENT, {}, REDO, query="dry_run=1")
    assert (refused.status, refused.headers["x-dry-run"]) == (400, "1")
    assert len(rig.rejected) == 1
    unauthorized = await rig.ask(BATCH, sent, JSON, query="dry_run=1")
    assert unauthorized.status == 401


async def test_verbose_lists_what_was_rejected(rig: Rig) -> None:
    plain = await rig.ask(ALANA_EVENTS, batch({"eventType": "x"}), ALANA)
    verbose = await rig.ask(ALANA_EVENTS, batch({"eventType": "x"}), ALANA, query="verbose=1")
    assert plain.json == {"status": "ok", "stored": 0, "errors": 1}
    assert verbose.json.keys() > plain.json.keys()


async def test_what_is_stamped(rig: Rig) -> None:
    headers = {**RELO, "user-agent": "Shop/1", "date": "Sun, 06 Nov 1994 08:49:37 GMT"}
    await rig.ask(BATCH, batch(INSTALL), headers, client="198.51.100.4")
    (envelope,) = rig.accepted
    assert (envelope.ip, envelope.ip_source, envelope.ua) == ("198.51.100.4", "connection", "Shop/1")
    assert envelope.sent_at == 784_111_777_000
    assert envelope.received_at > envelope.sent_at


async def test_behind_a_proxy() -> None:
    rig = Rig(trusted_proxies="10.0.0.0/8")
    headers = {**RELO, "x-forwarded-for": "198.51.100.4"}
    await rig.ask(BATCH, batch(INSTALL), headers, client="10.1.1.1")
    assert rig.accepted[0].ip == "198.51.100.4"


async def test_a_body_may_come_in_pieces(rig: Rig) -> None:
    sent = json.dumps(batch(*[INSTALL] * 50)).encode()
    chunks = [sent[at : at + 7] for at in range(0, len(sent), 7)]
    assert (await rig.ask(BATCH, headers=RELO, chunks=chunks)).json["accepted"] == 50


def changed(**changes: Any) -> list[Dialect]:
    """Return relo with another word in its declaration."""
    (relo,) = (d for d in dialects.discover() if d.name == "relo")
    return [dataclasses.replace(relo, endpoints=(dataclasses.replace(relo.endpoints[0], **changes),))]


async def test_a_bug_is_our_fault_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def stumble(raw: Any, token: Any) -> Accepted:
        raise ZeroDivisionError("the secret of the universe")

    rig = Rig(dialects=changed(validate=stumble))
    answer = await rig.ask(BATCH, batch(INSTALL), RELO)
    assert (answer.status, answer.code) == (500, "internal")
    assert b"universe" not in answer.body
    assert "ZeroDivisionError" in caplog.text
    assert answer.headers["x-request-id"] in caplog.text
    assert rig.operations.bodies.held_bytes == 0
    assert rig.measured("requests_in_flight") == 0


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        (CONVERSION, 200, {"status": "skipped", "transaction_id": "t-1"}),
        (INTERACTIONS, 202, {"status": "accepted"}),
        (TRACK, 500, None),
    ],
)
async def test_a_bug_is_swallowed_where_the_protocol_says_so(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, path: str, status: int, said: object
) -> None:
    async def stumble(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Publisher, "publish", stumble)
    sent: dict[str, object] = {"tenant_slug": demo.TENANT_SLUG, "transaction_id": "t-1"}
    if path != CONVERSION:
        sent = {"tenant_id": 1 if path == INTERACTIONS else "1", "type": "whatsapp_click"}
    answer = await rig.ask(path, sent, JSON)
    assert answer.status == status
    assert answer.json == said or answer.code == "internal"
    assert rig.measured("requests_refused_total", code="internal") == 1
    assert rig.measured("requests_swallowed_total", code="internal") == (status < 400)
    assert rig.measured("events_accepted_total") == 0


async def test_a_uniform_reply_is_used_under_its_setting() -> None:
    def uniform(receipt: Receipt) -> Reply:
        return Reply(202, b"{}")

    declared = changed(uniform_reply=uniform)
    assert (await Rig(dialects=declared).ask(BATCH, batch(), RELO)).status == 200
    rig = Rig(dialects=declared, tracker_uniform_status=True)
    assert (await rig.ask(BATCH, batch(), RELO)).status == 202


async def test_what_is_under_way_is_finished_when_the_caller_is_cancelled(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = asyncio.Event()
    publish = rig.bus.publish

    async def slow(topic: str, records: Sequence[Record], *, deadline_s: float = 5.0) -> None:
        await go.wait()
        await publish(topic, records, deadline_s=deadline_s)

    monkeypatch.setattr(rig.bus, "publish", slow)
    asking = asyncio.create_task(rig.ask(BATCH, batch(INSTALL, BAD), RELO))
    await asyncio.sleep(0.05)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert rig.operations.bodies.held_bytes == 0
    go.set()
    await rig.operations.publisher.finish()
    assert (len(rig.accepted), len(rig.rejected)) == (1, 1)


async def test_large_work_lets_others_in_between(rig: Rig) -> None:
    sent = json.dumps(batch(*[{**INSTALL, "url": "x" * 200}] * 10_000)).encode()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    assert (await rig.ask(BATCH, sent, RELO)).json["accepted"] == 10_000
    counting.cancel()
    assert turns > 5
