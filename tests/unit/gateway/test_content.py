"""The content rules, at their bounds, and how deep a text is."""

import json
import random
from typing import Any

import pytest
from msgspec import Raw

from gateway import content
from gateway.content import EVENT_BYTES_MAX, STRING_BYTES_MAX, depth, examine, examine_outside, judge
from gateway.errors import RequestRefused
from gateway.turns import Turn


def code_of(event: object) -> str:
    text = event if isinstance(event, bytes) else json.dumps(event, ensure_ascii=False).encode()
    refused = judge(text)
    return refused.code if refused else ""


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"a": "x" * STRING_BYTES_MAX}, ""),
        ({"a": "x" * (STRING_BYTES_MAX + 1)}, "string_too_long"),
        ({"a": "é" * (STRING_BYTES_MAX // 2)}, ""),
        ({"a": "é" * (STRING_BYTES_MAX // 2) + "x"}, "string_too_long"),
        ({"k" * 256: 1}, ""),
        ({"k" * 257: 1}, "key_too_long"),
        ({"a": {"é" * 128 + "k": 1}}, "key_too_long"),
        ({"props": {f"k{i}": 1 for i in range(500)}}, ""),
        ({"props": {f"k{i}": 1 for i in range(501)}}, "too_many_properties"),
        ({"a": "x\0y"}, "nul_character"),
        ({"a": {"\0": 1}}, "nul_character"),
        ({"a": 2**63 - 1}, ""),
        ({"a": 2**63}, "integer_out_of_range"),
        ({"a": [2**64]}, "integer_out_of_range"),
        ({"a": -(2**63)}, ""),
        ({"a": -(2**63) - 1}, "integer_out_of_range"),
        (b'{"a":' + b"1" * 5000 + b"}", "integer_out_of_range"),
        (b'{"a":1e308}', ""),
        (b'{"a":1e309}', "number_not_finite"),
        (b'{"a":-1E+999}', "number_not_finite"),
        (b'{"a":12345678901234567890.5}', ""),
        (b'"a\\u0000"', "nul_character"),
        (b"18446744073709551616", "integer_out_of_range"),
        (b'{"a":"' + b"x" * 30_000 + b'","b":"' + b"x" * 30_000 + b'"}', ""),
        (b'{"a":[' + b"1," * 132_000 + b"1]}", "event_too_large"),
        (b'{"a":["\\\\u0000"]}', ""),
    ],
    ids=lambda value: str(value)[:40],
)
def test_each_rule_at_its_bound(event: object, code: str) -> None:
    assert code_of(event) == code


def test_an_event_of_just_the_size_is_taken() -> None:
    text = b'{"a":[' + b" " * (EVENT_BYTES_MAX - 8) + b"]}"
    assert len(text) == EVENT_BYTES_MAX
    assert judge(text) is None
    assert code_of(text + b" ") == "event_too_large"


def test_a_refusal_names_the_place_and_never_the_value() -> None:
    refused = judge(json.dumps({"props": {"items": [{"n": 1}, {"n": 2**70}]}}).encode())
    assert refused is not None
    assert refused.field == "props.items[1].n"
    assert str(2**70) not in refused.message


def test_of_duplicate_keys_the_last_counts() -> None:
    assert code_of(b'{"a":18446744073709551616,"a":1}') == ""


def nest(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


async def look(body: bytes, *events: bytes, around: int = 2) -> dict[int, str]:
    group, turn = [Raw(e) for e in events], Turn()
    refused = await examine(group, b",".join(events), around=around, turn=turn) if events else {}
    await examine_outside(body, group, turn)
    return {index: why.code for index, why in refused.items()}


async def test_depth_counts_from_the_body() -> None:
    assert await look(b'{"events":[' + nest(62) + b"]}", nest(62)) == {}
    with pytest.raises(RequestRefused, match="too_deep"):
        await look(b'{"events":[' + nest(63) + b"]}", nest(63))
    assert await look(nest(64), nest(64), around=0) == {}
    with pytest.raises(RequestRefused, match="too_deep"):
        await look(nest(65), nest(65), around=0)


@pytest.mark.parametrize("place", [0, 15, 16, 37, 63])
async def test_one_deep_event_of_a_group_is_found(place: int) -> None:
    events = [b'{"props":{"a":[1]}}'] * 64
    events[place] = nest(62)
    body = b'{"events":[' + b",".join(events) + b"]}"
    assert await look(body, *events) == {}
    events[place] = nest(63)
    with pytest.raises(RequestRefused, match="too_deep"):
        await look(body, *events)


async def test_depth_counts_where_there_are_no_events() -> None:
    assert await look(b'{"events":[],"x":' + nest(63) + b"}") == {}
    with pytest.raises(RequestRefused, match="too_deep"):
        await look(b'{"events":[],"x":' + nest(64) + b"}")


async def test_brackets_in_strings_are_no_depth() -> None:
    event = b'{"a":"' + b"[" * 200 + b'"}'
    assert await look(b'{"events":[' + event + b"]}", event) == {}


async def test_only_the_bad_events_of_a_batch_are_refused() -> None:
    events = [b'{"a":1}'] * 40
    events[3] = b'{"a":"\\u0000"}'
    events[39] = b'{"a":1e999}'
    assert await look(b'{"events":[' + b",".join(events) + b"]}", *events) == {
        3: "nul_character",
        39: "number_not_finite",
    }


def random_value(dice: random.Random, levels: int) -> Any:
    kind = dice.random()
    if levels == 0 or kind < 0.3:
        return dice.choice([1, "a", "[", ']]"{', "\\", '\\\\"[', None, "é[\\"])
    if kind < 0.65:
        return [random_value(dice, levels - 1) for _ in range(dice.randint(0, 3))]
    names = ["a", "[{", "\\", '"', "b\\\\"]
    return {dice.choice(names) + str(i): random_value(dice, levels - 1) for i in range(dice.randint(0, 3))}


def depth_of(value: Any) -> int:
    if isinstance(value, dict | list):
        members = value.values() if isinstance(value, dict) else value
        return 1 + max(map(depth_of, members), default=0)
    return 0


@pytest.mark.parametrize("slice_bytes", [1, 2, 3, 7, 50, 128 * 1024])
async def test_depth_in_slices(slice_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_SLICE_BYTES", slice_bytes)
    dice = random.Random(slice_bytes)
    for _ in range(100):
        value = random_value(dice, 9)
        text = json.dumps(value, ensure_ascii=dice.random() < 0.5).encode()
        assert await depth(text, Turn()) == depth_of(value)
