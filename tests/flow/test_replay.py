"""Dead letters and rejected events on their way back: judged by today's code, landed once."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from bus.base import Record
from schemas.envelope import decode_envelope
from schemas.tenants import TenantRef
from schemas.topics import RAW
from stores.registry import demo
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow.replaying import BATCH, deploy_badly, died, ends, installed, replay, results, stored
from tests.flow.whole import REDO, RELO, Whole, open_whole

BULK = f"/v2.2/stores/{demo.REDO_STORE}/events/bulk"
TRACK = "/api/v1/analytics/track"


@pytest.fixture
async def whole(clickhouse: EmbeddedClickHouse, tmp_path: Path) -> AsyncIterator[Whole]:
    async with open_whole(clickhouse, "replay", tmp_path) as opened:
        yield opened


@pytest.fixture
def bad_deploy(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    deploy_badly(monkeypatch)
    return monkeypatch


async def test_dead_letters_come_back_as_they_were(whole: Whole, bad_deploy: pytest.MonkeyPatch) -> None:
    answer = await whole.send(BATCH, installed(5), RELO)
    assert answer.json()["accepted"] == 5
    await whole.settle()
    assert {(line["stage"], line["code"], line["pointer"]) for line in await died(whole)} == {
        ("map", "planted", "props")
    }
    assert results(await replay(whole, reason="planted", dry_run=True)) == [("accepted", "")] * 5
    bad_deploy.undo()
    assert await ends(whole) == 5  # a dry run publishes nothing
    outcomes = await replay(whole, reason="planted")
    assert results(outcomes) == [("replayed", "")] * 5
    await whole.settle()
    rows = await stored(whole)
    assert [row["subject"] for row in rows] == [f"d{n}" for n in range(5)]
    letters = {line["event_id"]: line for line in await died(whole)}
    for row in rows:
        letter = letters[UUID(row["id"])]
        assert row["replay_of"] == f"1/events.raw/{letter['src_kp']}/{letter['src_ko']}"
        assert row["kp"] == letter["src_kp"]  # the same key: a subject keeps its partition
        assert row["received_ms"] == letter["received_ms"]
        assert row["request_id"] == answer.headers["X-Request-Id"]
    books = await whole.books()
    raw = [line for line in books.lines if line.topic == RAW]
    assert (sum(line.dead for line in raw), sum(line.stored for line in raw)) == (5, 5)


async def test_replayed_twice_stored_once(whole: Whole, bad_deploy: pytest.MonkeyPatch) -> None:
    """Twice before any worker has seen the first, and once more when it has landed."""
    await whole.send(BATCH, installed(3), RELO)
    await whole.send(BULK, {"events": [{"eventName": "e", "customer": {"id": "c"}, "uniqueId": "u-1"}]}, REDO)
    await whole.settle()
    bad_deploy.undo()
    for _ in range(2):
        assert results(await replay(whole, stage="map")) == [("replayed", "")] * 3
    await whole.settle()
    assert [row["subject"] for row in await stored(whole)] == ["c", "d0", "d1", "d2"]
    assert results(await replay(whole, stage="map")) == [("stored", "")] * 3
    books = await whole.books()
    assert sum(line.duplicate for line in books.lines) == 3


async def test_a_replay_that_dies_again_can_be_replayed(whole: Whole, bad_deploy: pytest.MonkeyPatch) -> None:
    await whole.send(BATCH, installed(2), RELO)
    await whole.settle()
    assert results(await replay(whole, stage="map")) == [("replayed", "")] * 2
    await whole.settle()  # the workers still run the bad code
    bad_deploy.undo()
    letters = await died(whole)
    assert len(letters) == 4
    assert results(await replay(whole, stage="map")) == [("replayed", "")] * 4
    await whole.settle()
    assert [row["subject"] for row in await stored(whole)] == ["d0", "d1"]
    await whole.books()


async def test_the_producer_sent_it_again_meanwhile(whole: Whole, bad_deploy: pytest.MonkeyPatch) -> None:
    await whole.send(BATCH, installed(2), RELO)
    await whole.settle()
    bad_deploy.undo()
    await whole.send(BATCH, installed(2), RELO)  # the same bytes, so the same ids
    outcomes = await replay(whole, stage="map")
    await whole.settle()
    assert len(outcomes) == 2
    assert [row["subject"] for row in await stored(whole)] == ["d0", "d1"]
    await whole.books()


async def test_rejected_events_pass_todays_validation(whole: Whole) -> None:
    body = installed(3)
    body["events"][1]["cid"] = 9
    body["events"][2]["ts"] = 5
    await whole.send(BATCH, body, RELO)
    await whole.settle()
    before = await replay(whole, stage="gateway", dry_run=True)
    assert sorted(results(before)) == [("rejected", "cid_not_allowed"), ("rejected", "ts_in_seconds")]
    registry = whole.use.registry
    await registry.add_token(1, "relo", scopes=("write",), client_ids=(9,))
    outcomes = await replay(whole, stage="gateway")
    assert sorted(results(outcomes)) == [("rejected", "ts_in_seconds"), ("replayed", "")]
    await whole.settle()
    [accepted, replayed] = await stored(whole)
    assert (accepted["subject"], replayed["subject"], replayed["source"]) == ("d0", "d1", "9")
    [letter] = [line for line in await died(whole) if line["code"] == "cid_not_allowed"]
    assert UUID(replayed["id"]) == letter["event_id"]
    assert replayed["replay_of"] == f"1/events.rejected/{letter['kp']}/{letter['ko']}"
    assert (replayed["request_id"], replayed["request_index"]) == (accepted["request_id"], 1)
    assert results(await replay(whole, reason="cid_not_allowed")) == [("stored", "")]
    await whole.books()


async def test_a_revoked_token_lets_nothing_in(whole: Whole) -> None:
    await whole.send(BATCH, installed(1, cid=9), RELO)
    await whole.settle()
    registry = whole.use.registry
    token, _ = await registry.add_token(1, "relo", scopes=("write",), client_ids=(9,))
    await registry.add_token(1, "relo", scopes=("read",), client_ids=(9,))
    await registry.revoke_token(token.key_id)
    assert results(await replay(whole, stage="gateway")) == [("rejected", "cid_not_allowed")]
    await registry.revoke_token("demo-relo")
    assert results(await replay(whole, stage="gateway")) == [("rejected", "no_token")]


async def test_an_explicit_key_decides_over_a_rejected_event(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rejected with a uniqueId, then sent again mended: the replay must not bring it in twice."""
    bad = {"eventName": "Order Placed", "customer": {"phoneNumber": "0123"}, "uniqueId": "u-7"}
    good = {**bad, "customer": {"phoneNumber": "+5215512345678"}}
    await whole.send(BULK, {"events": [bad]}, REDO)
    await whole.send(BULK, {"events": [good]}, REDO)
    await whole.settle()
    [letter] = await died(whole)
    assert (letter["code"], letter["source"]) == ("invalid_phone", demo.REDO_STORE)
    monkeypatch.setattr("dialects.identifiers.is_e164", lambda phone: True)
    [outcome] = await replay(whole, stage="gateway")
    assert outcome.result == "stored"
    [row] = await stored(whole)
    assert outcome.event_id == row["id"] != letter["event_id"]


async def test_of_several_stores_the_letter_names_its_own(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    await whole.use.registry.add_token(1, "redo", scopes=("write",), store="other-store")
    bad = {"eventName": "Order Placed", "customer": {"phoneNumber": "0123"}, "uniqueId": "u-8"}
    await whole.send(BULK, {"events": [bad]}, REDO)
    await whole.settle()
    monkeypatch.setattr("dialects.identifiers.is_e164", lambda phone: True)
    assert results(await replay(whole, stage="gateway")) == [("replayed", "")]
    await whole.settle()
    [row] = await stored(whole)
    assert row["source"] == demo.REDO_STORE


async def test_public_events_find_tenant_and_product_today(whole: Whole) -> None:
    shop = {"type": "call", "tenant_id": "new-shop"}
    product = {"type": "cart_add", "tenant_id": demo.TENANT_SLUG, "product_id": 555}
    assert (await whole.send(TRACK, shop)).status_code == 404
    assert (await whole.send(TRACK, product)).status_code == 422
    await whole.settle()
    assert sorted(results(await replay(whole, dialect="tracker"))) == [
        ("rejected", "product_not_found"),
        ("rejected", "tenant_not_found"),
    ]
    registry = whole.use.registry
    tenant = await registry.add_tenant("new-shop", "New shop")
    await registry.add_product(1, 555)
    assert (await registry.tenant(TenantRef("slug", "new-shop"))) == tenant
    outcomes = await replay(whole, dialect="tracker", tenant_id=0)
    assert [(o.result, o.tenant_id) for o in outcomes] == [("replayed", tenant.id)]
    assert results(await replay(whole, dialect="tracker", tenant_id=1)) == [("replayed", "")]
    await whole.settle()
    rows = await whole.query("SELECT tenant_id, event_type FROM events ORDER BY tenant_id")
    assert [tuple(row.values()) for row in rows] == [(1, "product_added"), (tenant.id, "contact_clicked")]


async def test_what_cannot_be_replayed_is_said(whole: Whole) -> None:
    await whole.bus.publish(RAW, [Record(b"1|x", b"no envelope"), Record(b"1|x", b'"\xff"')])
    large = {"eventName": "e", "customer": {"id": "c"}, "data": {"x": ["y" * 30_000] * 9}}
    await whole.send(BULK, {"events": [large]}, REDO)
    await whole.settle()
    assert sorted(results(await replay(whole))) == [
        ("dead", "not_an_envelope"),
        ("impossible", "truncated"),
        ("impossible", "truncated"),
    ]


async def test_envelopes_of_old_are_read(whole: Whole, bad_deploy: pytest.MonkeyPatch) -> None:
    """Readers take the version before: what is replayed is today's."""
    await whole.send(BATCH, installed(1), RELO)
    [record] = [r for p in await whole.bus.ends(RAW) for r in await whole.bus.read(p, start=0, end=9)]
    await whole.bus.publish(RAW, [Record(record.key, record.value.replace(b'"v":1', b'"v":0'))])
    await whole.settle()
    bad_deploy.undo()
    assert len(await replay(whole, stage="map")) == 2
    for partition in await whole.bus.ends(RAW):
        for taken in (await whole.bus.read(partition, start=0, end=9))[2:]:
            again = decode_envelope(taken.value)
            assert (again.v, bytes(again.event)) == (1, bytes(decode_envelope(record.value).event))
            assert taken.key == record.key
