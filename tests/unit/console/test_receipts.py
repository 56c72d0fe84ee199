"""What became of a request: every attempt, every event, and nothing of anybody else's."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec import structs

from bus.base import Record
from console import inflight, receipts
from console.inflight import InFlight
from schemas.rows import EVENTS, LANDING, OUTCOMES, columns, event_row, outcome_row
from schemas.topics import RAW, REJECTED, Partition
from stores.warehouse import ClickHouse
from tests.unit.console.conftest import Api
from tests.unit.console.sent import Sent


async def receipt_of(api: Api, request: str, token: str = "one-read") -> Any:
    answer = await api.get(f"/penstock/v1/receipts/{request}", token)
    assert answer.status_code == 200, answer.text
    return answer.json()


def outcomes(attempt: Mapping[str, Any]) -> Sequence[tuple[int, str]]:
    return [(fate["index"], fate["outcome"]) for fate in attempt["events"]]


async def test_every_fate_is_told(api: Api, warehouse: ClickHouse) -> None:
    sent = Sent(warehouse, of=6)
    await sent.store(0, at=10)
    await sent.end(1, "duplicate", at=11, first_event_id=sent.ids[0])
    await sent.end(2, "dropped", at=12, reason="no_analytics_consent")
    await sent.end(3, "erased", at=13)
    await sent.bury(4, at=14)
    rejected_id = await sent.reject(7, at=3)
    told = await receipt_of(api, sent.request)
    assert (told["request_id"], told["complete"]) == (sent.request, True)
    [attempt] = told["attempts"]
    assert (attempt["accepted"], attempt["in_flight"], attempt["tenant_id"]) == (6, 1, 1)
    stored, duplicate, dropped, erased, dead, rejected = attempt["events"]
    assert stored.pop("at") >= "2026"
    place = {"topic": RAW, "partition": 0, "offset": 10}
    assert stored == {"event_id": sent.ids[0], "index": 0, "outcome": "stored", **place}
    assert (duplicate["outcome"], duplicate["first_event_id"]) == ("duplicate", sent.ids[0])
    assert (dropped["outcome"], dropped["reason"]) == ("dropped", "no_analytics_consent")
    assert erased["outcome"] == "erased"
    del dead["at"], rejected["at"]
    assert dead == {
        "event_id": sent.ids[4],
        "index": 4,
        "outcome": "dead",
        "topic": RAW,
        "partition": 0,
        "offset": 14,
        "reason": "missing_field",
        "pointer": "props.order_id",
        "message": "Add it.",
    }
    assert rejected == {
        "event_id": rejected_id,
        "index": 7,
        "outcome": "rejected",
        "topic": REJECTED,
        "partition": 0,
        "offset": 3,
        "reason": "cid_not_allowed",
        "pointer": "cid",
        "message": "Send another.",
    }


async def test_attempts_under_the_same_id(api: Api, warehouse: ClickHouse) -> None:
    first = Sent(warehouse, of=2)
    second = first.again(request=first.request)
    await second.end(0, "duplicate", first_event_id=first.ids[0])
    await second.end(1, "duplicate", first_event_id=first.ids[1])
    await first.store(0, 1)
    told = await receipt_of(api, first.request)
    assert [outcomes(attempt) for attempt in told["attempts"]] == [
        [(0, "stored"), (1, "stored")],
        [(0, "duplicate"), (1, "duplicate")],
    ]
    assert [attempt["in_flight"] for attempt in told["attempts"]] == [0, 0]


async def test_attempts_under_other_ids(api: Api, warehouse: ClickHouse) -> None:
    """A retry without X-Request-Id gets a fresh one; whichever is asked for, both are told."""
    first = Sent(warehouse, of=3)
    second = first.again(later_ms=90_000)
    third = first.again(later_ms=40 * 24 * 3_600_000)
    await first.store(0)
    await first.bury(1, at=1)
    await second.end(0, "duplicate", first_event_id=first.ids[0])
    await second.store(1, 2)
    await third.end(2, "duplicate", first_event_id=first.ids[2])
    told = await receipt_of(api, second.request)
    assert [attempt["request_id"] for attempt in told["attempts"]] == [
        first.request,
        second.request,
        third.request,
    ]
    assert [outcomes(attempt) for attempt in told["attempts"]] == [
        [(0, "stored"), (1, "dead")],
        [(0, "duplicate"), (1, "stored"), (2, "stored")],
        [(2, "duplicate")],
    ]
    assert [attempt["in_flight"] for attempt in told["attempts"]] == [1, 0, 2]
    # Other attempts are told of completely, also where only some of their events are known of this one.
    for request in (first.request, third.request):
        again = await receipt_of(api, request)
        assert [a for a in told["attempts"] if a["request_id"] != third.request][-1] in again["attempts"]


async def test_a_tenant_sees_its_own_only(api: Api, warehouse: ClickHouse) -> None:
    mine = Sent(warehouse, of=1)
    others = Sent(warehouse, of=2, request=mine.request, tenant=2)
    others.ids[0] = mine.ids[0]
    await mine.store(0)
    await others.store(0, 1)
    await others.reject(5, at=0)
    told = await receipt_of(api, mine.request)
    assert [(a["tenant_id"], outcomes(a)) for a in told["attempts"]] == [(1, [(0, "stored")])]
    told = await receipt_of(api, mine.request, "two-read")
    assert [a["tenant_id"] for a in told["attempts"]] == [2]
    everything = await receipts.receipt(warehouse, InFlight(api.bus), mine.request, None)
    assert everything is not None
    assert [attempt.tenant_id for attempt in everything.attempts] == [1, 2]


async def test_another_tenants_request_is_unknown(api: Api, warehouse: ClickHouse) -> None:
    others = Sent(warehouse, of=1, tenant=2)
    await others.store(0)
    for token in ("one-read", "one-admin"):
        answer = await api.get(f"/penstock/v1/receipts/{others.request}", token)
        assert (answer.status_code, answer.json()["code"]) == (404, "receipt_unknown")
    for attack in ("' OR 1=1 --", "%(tenant_id)s", f"{others.request}' OR tenant_id=2 OR '"):
        assert (await api.get(f"/penstock/v1/receipts/{attack}", "one-read")).status_code == 404


async def test_a_letter_that_was_published_twice_is_one(api: Api, warehouse: ClickHouse) -> None:
    sent = Sent(warehouse, of=2)
    await sent.bury(0, at=50, own=60)
    await sent.bury(0, at=50, own=61)
    await sent.store(1, at=51)
    [attempt] = (await receipt_of(api, sent.request))["attempts"]
    assert outcomes(attempt) == [(0, "dead"), (1, "stored")]
    assert (attempt["accepted"], attempt["in_flight"]) == (2, 0)


async def test_a_dead_letter_alone_tells_what_is_in_flight(api: Api, warehouse: ClickHouse) -> None:
    sent = Sent(warehouse, of=5)
    await sent.bury(3, at=70, own=70)
    [attempt] = (await receipt_of(api, sent.request))["attempts"]
    assert (attempt["accepted"], attempt["in_flight"]) == (5, 4)
    cut = Sent(warehouse, of=5)
    await cut.bury(3, at=80, own=80, truncated=True)
    [attempt] = (await receipt_of(api, cut.request))["attempts"]
    assert attempt["events"][0]["index"] is None
    assert (attempt["accepted"], attempt["in_flight"]) == (1, 0)
    await cut.store(0, at=81)
    [attempt] = (await receipt_of(api, cut.request))["attempts"]
    assert (attempt["accepted"], attempt["in_flight"]) == (5, 3)


async def test_replayed_events_are_counted_once(api: Api, warehouse: ClickHouse) -> None:
    sent = Sent(warehouse, of=3)
    await sent.bury(0, at=90, own=90)
    rejected_id = await sent.reject(1, at=91)
    [attempt] = (await receipt_of(api, sent.request))["attempts"]
    assert (attempt["accepted"], attempt["in_flight"]) == (3, 2)
    await sent.store(0, at=92, replay_of="1/events.raw/0/90")
    await sent.store(1, at=93, event_id=rejected_id, of=1, replay_of="1/events.rejected/0/91")
    [attempt] = (await receipt_of(api, sent.request))["attempts"]
    assert outcomes(attempt) == [(0, "dead"), (0, "stored"), (1, "rejected"), (1, "stored")]
    assert (attempt["accepted"], attempt["in_flight"]) == (4, 2)
    assert [fate.get("replay_of") for fate in attempt["events"]] == [
        None,
        "1/events.raw/0/90",
        None,
        "1/events.rejected/0/91",
    ]


async def test_a_request_of_which_all_was_rejected(api: Api, warehouse: ClickHouse) -> None:
    sent = Sent(warehouse, of=0)
    await sent.reject(0, at=95)
    await sent.reject(1, at=96)
    [attempt] = (await receipt_of(api, sent.request))["attempts"]
    assert (attempt["accepted"], attempt["in_flight"]) == (0, 0)
    assert outcomes(attempt) == [(0, "rejected"), (1, "rejected")]


async def test_ten_thousand_events_twice(api: Api, warehouse: ClickHouse) -> None:
    first = Sent(warehouse, of=10_000)
    await first.store(*range(9_999))
    second = first.again(later_ms=60_000)
    rows = {
        10_000 + index: outcome_row(second.event(index), "duplicate", first_event_id=first.ids[index])
        for index in range(9_998)
    }
    await second.insert(OUTCOMES, rows)
    told = await receipt_of(api, first.request)
    assert told["complete"]
    assert [(len(a["events"]), a["in_flight"]) for a in told["attempts"]] == [(9_999, 1), (9_998, 2)]
    third = first.again(later_ms=61_000)
    await third.store(*range(10))
    told = await receipt_of(api, first.request)
    assert not told["complete"]
    assert sum(len(a["events"]) for a in told["attempts"]) == receipts.ROWS_MAX


async def test_what_is_in_flight_is_found_in_the_log(api: Api, warehouse: ClickHouse) -> None:
    """Before any worker has seen it, and while some of it is decided."""
    sent = Sent(warehouse, of=3)
    other = Sent(warehouse, of=1, request=sent.request, tenant=2)
    records = [Record(b"1|a", sent.envelope(index)) for index in (2, 0, 1)]
    foreign = [
        Record(b"1|a", other.envelope(0)),
        Record(b"1|a", b'no envelope "request":"%s"' % sent.request.encode()),
    ]
    await api.bus.publish(RAW, [*records, *foreign])
    [attempt] = (await receipt_of(api, sent.request))["attempts"]
    assert (attempt["accepted"], attempt["in_flight"]) == (3, 3)
    assert outcomes(attempt) == [(0, "in_flight"), (1, "in_flight"), (2, "in_flight")]
    [kp] = {fate["partition"] for fate in attempt["events"]}
    assert [(fate["offset"], fate["event_id"], fate["at"]) for fate in attempt["events"]] == [
        (1, sent.ids[0], None),
        (2, sent.ids[1], None),
        (0, sent.ids[2], None),
    ]
    # A rejected event, which is stored sooner, does not tell how many were accepted.
    await sent.reject(3, at=98)
    [attempt] = (await receipt_of(api, sent.request))["attempts"]
    assert (attempt["accepted"], attempt["in_flight"], len(attempt["events"])) == (3, 3, 4)
    # Written, but its range is not committed: it is decided.
    block = columns(Partition(RAW, kp), 1, [0], [event_row(sent.event(2))])
    await warehouse.insert(LANDING[EVENTS], block, token=uuid4().hex, query_id=uuid4().hex)
    [attempt] = (await receipt_of(api, sent.request))["attempts"]
    assert outcomes(attempt) == [(2, "stored"), (3, "rejected"), (0, "in_flight"), (1, "in_flight")]
    assert attempt["in_flight"] == 2
    # Committed: no more looked for.
    api.bus.log.group(RAW, "penstock-events").offsets[kp] = (5, "v1;inc=1")
    [attempt] = (await receipt_of(api, sent.request))["attempts"]
    assert (outcomes(attempt), attempt["in_flight"]) == ([(2, "stored"), (3, "rejected")], 2)


async def test_only_the_end_of_a_long_queue_is_looked_through(
    api: Api, warehouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = Sent(warehouse, of=1)
    await api.bus.publish(RAW, [Record(b"1|a", sent.envelope(0))])
    await api.bus.publish(RAW, [Record(b"1|a", b"x")] * 4)
    monkeypatch.setattr(inflight, "TAIL_RECORDS", 5)
    assert (await receipt_of(api, sent.request))["attempts"][0]["in_flight"] == 1
    monkeypatch.setattr(inflight, "TAIL_RECORDS", 4)
    assert (await api.get(f"/penstock/v1/receipts/{sent.request}", "one-read")).status_code == 404


async def test_while_the_bus_is_down_what_is_decided_is_told(api: Api, warehouse: ClickHouse) -> None:
    sent = Sent(warehouse, of=2)
    await sent.store(0, at=97)
    api.bus.down = True
    [attempt] = (await receipt_of(api, sent.request))["attempts"]
    assert (outcomes(attempt), attempt["in_flight"]) == ([(0, "stored")], 1)
    answer = await api.get("/penstock/v1/receipts/unheard-of", "one-read")
    assert (answer.status_code, answer.json()["code"]) == (503, "bus_unavailable")


@pytest.mark.parametrize("token", ["one-read", "one-admin"])
async def test_unknown(api: Api, token: str) -> None:
    answer = await api.get(f"/penstock/v1/receipts/{UUID(int=1)}", token)
    assert (answer.status_code, answer.json()["code"]) == (404, "receipt_unknown")


async def test_a_rejected_event_stays_rejected_when_its_letter_is_erased(
    api: Api, warehouse: ClickHouse
) -> None:
    sent = Sent(warehouse, of=2)
    await sent.store(0, at=50)
    await sent.end(1, "erased", at=51, reason="an-erasure")
    letter = structs.replace(sent.event(1), index=3, of=0)
    erased = outcome_row(letter, "erased", reason="an-erasure")
    await sent.insert(OUTCOMES, {5: erased}, REJECTED)
    [attempt] = (await receipt_of(api, sent.request))["attempts"]
    assert (attempt["accepted"], attempt["in_flight"]) == (2, 0)
    assert outcomes(attempt) == [(0, "stored"), (1, "erased"), (3, "erased")]
    assert attempt["events"][2]["topic"] == REJECTED
