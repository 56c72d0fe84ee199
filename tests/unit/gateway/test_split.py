"""From body to events; what refuses a body as a whole."""

import dataclasses

import pytest

import dialects
from dialects.base import Endpoint
from gateway.errors import RequestRefused
from gateway.split import SMALL_BYTES, Splitter
from gateway.turns import Turn


def endpoint(dialect: str, name: str) -> Endpoint:
    found = dialects.endpoint(dialect, name)
    assert found is not None
    return found


RELO = Splitter(endpoint("relo", "batch"))
BULK = Splitter(endpoint("redo", "bulk"))
SINGLE = Splitter(endpoint("redo", "event"))


async def events_of(splitter: Splitter, body: bytes) -> list[bytes]:
    return [bytes(raw) for raw in await splitter.split(body, Turn())]


async def why(splitter: Splitter, body: bytes) -> str:
    with pytest.raises(RequestRefused) as caught:
        await splitter.split(body, Turn())
    assert 400 <= caught.value.problem.status < 500
    assert caught.value.problem.message
    return caught.value.problem.code


async def test_events_stay_the_bytes_they_are() -> None:
    body = b' {"x": 1, "events" : [ {"a" :1.50} , "x" ,null ]} '
    assert await events_of(RELO, body) == [b'{"a" :1.50}', b'"x"', b"null"]
    assert await events_of(SINGLE, b' {"a":  1} ') == [b'{"a":  1}']


async def test_of_two_lists_the_last_counts() -> None:
    assert await events_of(RELO, b'{"events":[1],"events":[2,3]}') == [b"2", b"3"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"events":[],"x":"\xff"}', "not_utf8"),
        (b'{"events":["\xed\xa0\x80"]}', "not_utf8"),
        (b"\xc3", "not_utf8"),
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b'{"events":[}', "invalid_json"),
        (b'{"events":[]} x', "invalid_json"),
        (b'\xef\xbb\xbf{"events":[]}', "invalid_json"),
        (b'{"events":[NaN]}', "invalid_json"),
        (b'{"events":[Infinity]}', "invalid_json"),
        (b'{"events":["\\ud800"]}', "invalid_json"),
        (b'{"events":[],"x":"\\udc00"}', "invalid_json"),
        (b'{"events":["\\ud800\\ud800"]}', "invalid_json"),
        (b'{"events":["\x01"]}', "invalid_json"),
        (b'{"events":[01]}', "invalid_json"),
        (b"[]", "events_required"),
        (b"{}", "events_required"),
        (b'{"events":null}', "events_required"),
        (b'{"events":{}}', "events_required"),
        (b'{"events":' + b"[" * 5_000_000, "too_deep"),
        (b'{"events":[],"x":' + b"[" * 5_000_000 + b"]" * 5_000_000 + b"}", "too_deep"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_bodies_that_are_refused(body: bytes, code: str) -> None:
    assert await why(RELO, body) == code


async def test_single_bodies_that_are_refused() -> None:
    assert await why(SINGLE, b"[" * 5_000_000) == "too_deep"
    assert await why(SINGLE, b"{} {}") == "invalid_json"


async def test_a_surrogate_pair_is_a_character() -> None:
    assert await events_of(RELO, b'{"events":["\\ud83d\\ude00"]}') == [b'"\\ud83d\\ude00"']


@pytest.mark.parametrize("wide", [b"1", b'"' + b"x" * 2_000 + b'"'])
async def test_the_number_of_events_is_bounded(wide: bytes) -> None:
    assert len(await events_of(BULK, b'{"events":[' + b",".join([wide] * 100) + b"]}")) == 100
    assert await why(BULK, b'{"events":[' + b",".join([wide] * 101) + b"]}") == "too_many_events"
    assert await why(BULK, b'{"events":[]}') == "too_few_events"
    assert await events_of(RELO, b'{"events":[]}') == []


async def test_small_and_large_bodies_are_split_alike() -> None:
    pad = b" " * SMALL_BYTES
    for events in (b"", b"1", b"1,2,3", b'{"a":[1,2]},null'):
        small = await events_of(RELO, b'{"events":[' + events + b"]}")
        assert await events_of(RELO, b'{"events":[' + events + b"]" + pad + b"}") == small
    for broken in (b"[", b"[]", b'{"events":{}}', b'{"events":[1,]}', b"{}"):
        assert await why(RELO, broken + pad) == await why(RELO, broken)


async def test_a_flood_of_elements_is_not_kept() -> None:
    decode = RELO._decode
    kept = decode(b'{"events":[' + b",".join([b"1"] * 2_000_000) + b"]}")
    assert len(kept) == 10_001


async def test_bounds_come_from_the_declaration() -> None:
    declared = endpoint("redo", "bulk")
    limits = dataclasses.replace(declared.limits, events_min=2, events_max=3)
    splitter = Splitter(dataclasses.replace(declared, limits=limits))
    assert await why(splitter, b'{"events":[1]}') == "too_few_events"
    assert await why(splitter, b'{"events":[1,2,3,4]}') == "too_many_events"
