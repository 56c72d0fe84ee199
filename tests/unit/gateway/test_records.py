"""What goes on the bus."""

import json

import pytest
from msgspec import Raw

from bus.base import RECORD_BYTES_MAX, Record
from dialects.base import Accepted, Limits, Refused
from gateway.records import Stamp, accepted_records, rejected_records
from gateway.turns import Turn
from schemas.envelope import Rejected, decode_envelope, decode_rejected

STAMP = Stamp(
    dialect="relo",
    endpoint="batch",
    tenant=7,
    request="req-1",
    received_at=1_000,
    sent_at=900,
    ip="192.0.2.1",
    ua="curl",
    ids=lambda index, raw, key: key or f"id-{index}",
)
LIMITS = Limits(body_bytes_max=2**25)
WHY = Refused("bad", "Do better.", "a.b")


async def made(*events: tuple[int, bytes, Accepted]) -> list[Record]:
    return await accepted_records(STAMP, [(i, Raw(raw), told) for i, raw, told in events], Turn())


async def test_an_event_travels_as_the_bytes_it_was() -> None:
    sent = b'{"a" : 1.50,\n "b":"\\u00e9"}'
    (record,) = await made((4, sent, Accepted(subject="d-1", source="3", flags=("defaulted:value",))))
    envelope = decode_envelope(record.value)
    assert record.key == b"7|d-1"
    assert bytes(envelope.event) == sent
    assert (envelope.id, envelope.index, envelope.of, envelope.tenant) == ("id-4", 4, 1, 7)
    assert (envelope.received_at, envelope.sent_at, envelope.request) == (1_000, 900, "req-1")
    assert (envelope.dialect, envelope.endpoint, envelope.source) == ("relo", "batch", "3")
    assert envelope.flags == ("defaulted:value",)


async def test_where_address_and_agent_come_from_is_kept_apart() -> None:
    plain, given = Accepted("d"), Accepted("d", ip="198.51.100.1", ua="App/1")
    records = await made((0, b"1", given), (1, b"2", plain), (2, b"3", given))
    told = [decode_envelope(r.value) for r in records]
    assert [(e.ip, e.ip_source, e.ua, e.ua_source) for e in told] == [
        ("198.51.100.1", "event", "App/1", "event"),
        ("192.0.2.1", "connection", "curl", "connection"),
        ("198.51.100.1", "event", "App/1", "event"),
    ]
    assert {e.of for e in told} == {3}


async def test_an_event_without_subject_stands_alone() -> None:
    (record,) = await made((0, b"1", Accepted("", dedup_key="order-1")))
    assert record.key == b"7|order-1"
    assert decode_envelope(record.value).id == "order-1"
    assert await made() == []


async def rejected(raw: bytes, limits: Limits = LIMITS) -> Rejected:
    (record,) = await rejected_records(STAMP, [(2, Raw(raw), WHY)], limits, Turn())
    assert len(record.key) + len(record.value) <= RECORD_BYTES_MAX
    return decode_rejected(record.value)


async def test_a_rejected_event_is_kept_with_the_reason() -> None:
    kept = await rejected(b'{"a" : 1}')
    assert (kept.code, kept.pointer, kept.message) == ("bad", "a.b", "Do better.")
    assert (kept.id, kept.index, kept.tenant, kept.request) == ("id-2", 2, 7, "req-1")
    assert (kept.raw, kept.truncated) == ('{"a" : 1}', False)
    assert (kept.ip, kept.ua, kept.received_at) == ("192.0.2.1", "curl", 1_000)


@pytest.mark.parametrize(("size", "kept_bytes"), [(256 * 1024, 256 * 1024), (256 * 1024 + 1, 64 * 1024)])
async def test_a_large_one_is_cut(size: int, kept_bytes: int) -> None:
    kept = await rejected(b'"' + b"x" * (size - 2) + b'"')
    assert len(kept.raw) == kept_bytes
    assert kept.truncated is (size != kept_bytes)


async def test_it_is_cut_between_characters() -> None:
    limits = Limits(body_bytes_max=2**16, rejected_raw_bytes_max=8, rejected_cut_bytes=8)
    kept = await rejected('"aéééé"'.encode(), limits)
    assert (kept.raw, kept.truncated) == ('"aééé', True)


async def test_one_that_grows_in_its_record_still_fits() -> None:
    event = json.dumps("\\" * 120_000).encode()
    assert len(event) < 256 * 1024
    kept = await rejected(event)
    assert kept.truncated
    assert len(kept.raw) == 64 * 1024
