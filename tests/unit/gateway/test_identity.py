"""Which id an event gets."""

from uuid import UUID

import pytest
from msgspec import Raw

from dialects.base import Ids
from gateway.errors import RequestRefused
from gateway.identity import EventIds, event_ids, idempotency_key
from gateway.turns import Turn

EVENT = Raw(b'{"a":1}')


async def ids(scheme: Ids = Ids.FRESH, **changed: object) -> EventIds:
    given = {"dialect": "relo", "tenant": 1, "body": b'{"events":[]}', "key": None, **changed}
    return await event_ids(scheme, turn=Turn(), **given)  # type: ignore[arg-type]


async def test_fresh_ids_are_ordered_by_time() -> None:
    of = await ids()
    made = [of(0, EVENT, None) for _ in range(100)]
    assert {UUID(i).version for i in made} == {7}
    assert made == sorted(set(made))


async def test_ids_from_the_body_name_the_request_and_the_index() -> None:
    of = await ids(Ids.BODY)
    first, last = UUID(of(0, EVENT, None)), UUID(of(9_999, EVENT, None))
    assert first.version == last.version == 8
    assert first.variant == "specified in RFC 4122"
    assert first.bytes[:12] == last.bytes[:12]
    assert (int(first) & 0xFFFFFFFF, int(last) & 0xFFFFFFFF) == (0, 9_999)
    assert int(UUID(of(10_000, EVENT, None))) == int(last) + 1


async def test_the_same_bytes_of_the_same_tenant_get_the_same_ids() -> None:
    of = (await ids(Ids.BODY))(3, EVENT, None)
    assert (await ids(Ids.BODY))(3, EVENT, None) == of
    assert (await ids(Ids.BODY, tenant=2))(3, EVENT, None) != of
    assert (await ids(Ids.BODY, body=b'{"events":[] }'))(3, EVENT, None) != of


async def test_a_large_body_is_hashed_whole() -> None:
    body = bytes(9 * 2**20)
    of = (await ids(Ids.BODY, body=body))(0, EVENT, None)
    assert (await ids(Ids.BODY, body=body[:-1] + b"x"))(0, EVENT, None) != of


@pytest.mark.parametrize("scheme", Ids)
@pytest.mark.parametrize("key", [None, "retry-1"])
async def test_an_explicit_key_decides_alone(scheme: Ids, key: str | None) -> None:
    of = await ids(scheme, key=key)
    made = of(0, EVENT, "order-1")
    assert UUID(made).version == 5
    assert of(7, Raw(b"{}"), "order-1") == made
    assert of(0, EVENT, "order-2") != made
    assert (await ids(scheme, tenant=2))(0, EVENT, "order-1") != made
    assert (await ids(scheme, dialect="redo"))(0, EVENT, "order-1") != made


@pytest.mark.parametrize("scheme", Ids)
async def test_an_idempotency_key_counts_with_index_and_bytes(scheme: Ids) -> None:
    of = await ids(scheme, key="retry-1")
    made = of(0, EVENT, None)
    assert UUID(made).version == 5
    assert (await ids(scheme, key="retry-1", body=b"other"))(0, EVENT, None) == made
    others = [
        of(1, EVENT, None),
        of(0, Raw(b'{"a":2}'), None),
        (await ids(scheme, key="retry-2"))(0, EVENT, None),
        (await ids(scheme, key="retry-1", tenant=2))(0, EVENT, None),
    ]
    assert len({made, *others}) == 5


def test_idempotency_keys_are_read_or_refused_never_ignored() -> None:
    assert idempotency_key({}) is None
    assert idempotency_key({b"idempotency-key": b""}) is None
    assert idempotency_key({b"idempotency-key": b"a b/c"}) == "a b/c"
    for wrong in (b"x" * 256, b"\xe9", b"a\tb"):
        with pytest.raises(RequestRefused, match="invalid_idempotency_key"):
            idempotency_key({b"idempotency-key": wrong})
