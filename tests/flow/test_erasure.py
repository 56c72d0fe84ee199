"""A person is erased over the whole way: every row goes, the books balance, nobody else loses anything."""

import json
from typing import Any

from bus.base import Record
from schemas.envelope import decode_envelope
from schemas.topics import DEAD, RAW, Partition
from tests.flow import erasing
from tests.flow.erasing import (
    ANN,
    ANNS,
    JOANN,
    eraser_of,
    erasure,
    event,
    everything,
    finish,
    forget_log,
    naming,
    request,
    send,
)
from tests.flow.webhooks import add, sending, until
from tests.flow.whole import RELO, Whole

whole = erasing.whole


async def visit(whole: Whole, device: str, **props: Any) -> None:
    given = {"t": "install", "ts": 1_775_000_000_000, "cid": 3, "did": device, "props": props}
    answer = await whole.send("/ingest/batch", {"events": [given]}, RELO)
    assert answer.json()["accepted"] == 1, answer.text


async def test_a_customer_is_gone_from_every_table(whole: Whole, unused_port: int) -> None:
    at_home = {"firstName": "Ann", "location": {"street1": "Ann's Street"}}
    await send(whole, event({**ANN, **at_home}), event({"email": " ANN@example.com"}, uniqueId="once"))
    await send(whole, event({"email": "ann@example.com"}, uniqueId="once"))
    await send(whole, event({"email": "joann@example.com", "id": "cust-joann"}))
    await send(whole, {"eventName": "", "customer": ANN}, {"eventName": "", "customer": JOANN})
    await add(whole, {"event": None}, f"http://127.0.0.1:{unused_port}/")
    async with sending(whole):
        await whole.settle()
        await until(whole.use.registry, 3, "waiting")
    assert len(await whole.query("SELECT 1 FROM events")) == 3
    assert len(await whole.query("SELECT 1 FROM quarantine")) == 2
    before = await whole.books()

    erasure_id = await request(whole, "mi-negocio", "email", "Ann@Example.com")
    certificate = await finish(whole, erasure_id)
    assert certificate.state == "done"
    assert certificate.progress.found == {
        "events": 2,
        "quarantine": 1,
        "deliveries": 2,
        "customer_patches": 2,
        "customer_fields": 6,
    }
    assert certificate.progress.erased == {"events.raw": 2, "events.rejected": 1}
    assert certificate.progress.deliveries == 2
    assert (certificate.subject, len(certificate.digests)) == (None, 3)
    assert await naming(whole, ANNS) == []
    rows = await everything(whole)
    assert sum("joann@example.com" in row for row in rows) >= 5  # event, patch, letter, profile, link, match
    kept = [row for row in rows if row.startswith("registry deliveries")]
    assert [("joann@example.com" in row, erasure_id in row) for row in sorted(kept, key=len)] == [
        *((False, True), (False, True)),
        (True, False),
    ]
    [erased] = await whole.query("SELECT countIf(outcome = 'erased') AS rows FROM outcomes")
    assert erased["rows"] == 3
    after = await whole.books()
    assert sum(line.received for line in after.lines) == sum(line.received for line in before.lines)


async def test_the_books_balance_at_every_moment(whole: Whole) -> None:
    await send(whole, *(event(ANN, value=n + 1) for n in range(5)), event(JOANN))
    await whole.settle()
    erasure_id = await request(whole, "1", "id", "cust-ann")
    await whole.books()
    outcomes = "SELECT count() AS rows FROM outcomes"
    work = eraser_of(whole)
    places = [line.erased for line in (await whole.books()).lines]
    assert sum(places) == 0
    await work.advance(erasure_id)
    assert sum(line.erased for line in (await whole.books()).lines) == 5
    await work.advance(erasure_id)
    assert (await whole.query(outcomes))[0]["rows"] == 5


async def test_what_comes_later_is_dropped_and_the_receipt_says_so(whole: Whole) -> None:
    await send(whole, event(ANN), event(JOANN), request_id="first")
    await whole.settle()
    erasure_id = await request(whole, "mi-negocio", "id", "cust-ann")
    await eraser_of(whole).advance(erasure_id)
    await send(
        whole,
        event({"email": "ann@example.com"}),
        event({"id": "other", "phoneNumber": "+52 55 1234 5678".replace(" ", "")}),
        event(JOANN),
        request_id="second",
    )
    await whole.settle()
    assert len(await whole.query("SELECT 1 FROM events")) == 2  # joann's
    _, [told], _ = await whole.penstock("receipt", "second")
    fates = [(each["outcome"], each.get("reason")) for each in told["attempts"][0]["events"]]
    assert fates == [("dropped", "suppressed"), ("dropped", "suppressed"), ("stored", None)]
    _, [told], _ = await whole.penstock("receipt", "first")
    fates = [(each["outcome"], each.get("reason")) for each in told["attempts"][0]["events"]]
    assert fates == [("erased", erasure_id), ("stored", None)]
    await whole.books()


async def test_the_log_is_waited_for(whole: Whole) -> None:
    await send(whole, event(ANN))
    await whole.settle()
    erasure_id = await request(whole, "1", "phone", "+525512345678")
    work = eraser_of(whole)
    for _ in range(2):
        await work.advance(erasure_id)
        waiting = await erasure(whole, erasure_id)
        assert waiting.state == "waiting_for_log"
        assert waiting.subject is not None
    _, [told], _ = await whole.penstock("person", "erasures", "1", erasure_id)
    assert told["in_the_log"]["topics"] == ["events.dead", "events.matched", "events.raw", "events.rejected"]
    assert told["in_the_log"]["until"] > told["applied_at"]
    assert not any(value in json.dumps(told) for value in ANNS)
    forget_log(whole)
    await work.advance(erasure_id)
    assert (await erasure(whole, erasure_id)).state == "done"


async def test_devices_and_merged_persons_go_together(whole: Whole) -> None:
    await visit(whole, "device-1", user_id="user-1", email="mei@example.com")
    await visit(whole, "device-2")
    await whole.settle()
    await visit(whole, "device-2", user_id="user-1")
    await visit(whole, "device-3", user_id="user-3")
    answer = await whole.send(
        "/api/v1/events",
        {"events": [{"eventType": "home-page-view", "visitorId": "device-1", "userId": "user-1"}]},
        {"x-api-key": "ak_dev"},
    )
    assert answer.json()["stored"] == 1
    await whole.settle()
    status, _, errors = await whole.penstock("person", "export", "1", "id", "user-1")
    assert (status, "alana, relo" in errors) == (1, True)
    erasure_id = await request(whole, "1", "id", "user-1", "--scope", "relo")
    certificate = await finish(whole, erasure_id)
    assert certificate.progress.erased == {"events.raw": 3}
    rows = await everything(whole)
    assert not [row for row in rows if "mei@example.com" in row or "device-2" in row]
    # The same values in another protocol are another person.
    assert await whole.query("SELECT dialect, user_id FROM events ORDER BY dialect") == [
        {"dialect": "alana", "user_id": "user-1"},
        {"dialect": "relo", "user_id": "user-3"},
    ]
    await whole.books()


async def test_a_dead_letter_goes_with_the_record_it_is_about(whole: Whole) -> None:
    await send(whole, event(ANN), event(JOANN), request_id="died")
    await whole.settle()
    # What was accepted once, and what today's worker can make nothing of.
    for customer in (ANN, JOANN):
        (record,) = [
            record
            for kp in range(2)
            for record in await whole.bus.read(Partition(RAW, kp), start=0, end=10)
            if customer["id"].encode() in record.value
        ]
        envelope = decode_envelope(record.value)
        broken = record.value.replace(b'"eventName":"Profile Updated"', b'"eventName":7').replace(
            envelope.id.encode(), envelope.id[:-4].encode() + b"0000"
        )
        await whole.bus.publish(RAW, [Record(record.key, broken)])
    await whole.settle()
    assert len(await whole.query(f"SELECT 1 FROM quarantine WHERE topic = '{DEAD}'")) == 2
    erasure_id = await request(whole, "1", "email", "ann@example.com")
    certificate = await finish(whole, erasure_id)
    assert certificate.progress.erased == {"events.raw": 2, "events.dead": 1}
    assert await naming(whole, ANNS) == []
    [left] = await whole.query("SELECT raw FROM quarantine")
    assert "cust-joann" in left["raw"]
    await whole.books()


async def test_a_replay_does_not_bring_an_erased_person_back(whole: Whole) -> None:
    await send(whole, {"eventName": "", "customer": ANN})
    await whole.settle()
    erasure_id = await request(whole, "1", "email", "ann@example.com", "--scope", "redo/dev-store")
    # It comes in again, and is mended before anybody has looked.
    await whole.use.warehouse.execute(
        "INSERT INTO quarantine SELECT * REPLACE "
        '(replaceOne(raw, \'"eventName":""\', \'"eventName":"Mended"\') AS raw) FROM quarantine'
    )
    await eraser_of(whole, settle_s=3600).advance(erasure_id)
    assert await whole.query("SELECT 1 FROM quarantine") == []
    await send(whole, event(ANN, name="Profile Updated", value="much"), event(ANN))
    await whole.settle()
    _, told, _ = await whole.penstock("quarantine", "replay", "--tenant", "1")
    assert told[-1]["selected"] == 1
    assert await whole.query("SELECT 1 FROM events") == []
    await finish(whole, erasure_id)
    assert await naming(whole, ANNS) == []
    await whole.books()


async def test_who_comes_back_is_a_new_person(whole: Whole) -> None:
    await send(whole, event(ANN))
    await whole.settle()
    [old] = await whole.query("SELECT person_id FROM events")
    words = ("1", "email", "ann@example.com", "--scope", "redo/dev-store", "--reason", "bought again")
    erasure_id = await request(whole, *words[:3])
    status, _, errors = await whole.penstock("person", "unsuppress", *words)
    assert (status, "not done" in errors) == (1, True)
    await finish(whole, erasure_id)
    assert (await whole.penstock("person", "unsuppress", *words))[0] == 0
    await send(whole, event({"email": "ann@example.com"}), event({"id": "cust-ann"}))
    await whole.settle()
    [new] = await whole.query("SELECT person_id FROM events")
    assert new["person_id"] != old["person_id"]
    status, _, errors = await whole.penstock("person", "unsuppress", *words)
    assert (status, "not suppressed" in errors) == (1, True)
    assert await request(whole, *words[:3]) != erasure_id


async def test_another_tenant_and_another_store_keep_what_they_have(whole: Whole) -> None:
    await whole.use.registry.add_tenant("rival", "Rival")
    _, [added], _ = await whole.penstock(
        "token", "add", "rival", "--dialect", "redo", "--store", "rival-store"
    )
    theirs = {"Authorization": f"Bearer {added['secret']}"}
    await send(whole, event(ANN))
    answer = await whole.send("/v2.2/stores/rival-store/events", event(ANN), theirs)
    assert answer.status_code == 202
    await whole.settle()
    await finish(whole, await request(whole, "1", "id", "cust-ann"))
    rows = await naming(whole, ANNS)
    assert rows
    assert not [row for row in rows if "dev-store" in row]
    answer = await whole.send("/v2.2/stores/rival-store/events", event(ANN), theirs)
    await whole.settle()
    assert len(await whole.query("SELECT 1 FROM events")) == 2


async def test_a_second_request_and_an_unknown_person_are_refused(whole: Whole) -> None:
    status, _, errors = await whole.penstock("person", "erase", "1", "email", "nobody@example.com", "--yes")
    assert (status, "nothing is known" in errors) == (1, True)
    await send(whole, event(ANN))
    await whole.settle()
    status, [found], errors = await whole.penstock("person", "erase", "1", "id", "cust-ann", "--dry-run")
    assert (status, found["found"]["events"]) == (0, 1)
    for table in ("events", "quarantine", "deliveries"):
        assert f"penstock: searching {table}\n" in errors
    assert await whole.use.registry.open_erasures() == []
    erasure_id = await request(whole, "1", "id", "cust-ann")
    status, _, errors = await whole.penstock("person", "erase", "1", "phone", "+525512345678", "--yes")
    assert (status, erasure_id in errors) == (1, True)
