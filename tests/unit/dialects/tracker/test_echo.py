"""A conversion's transaction id is echoed as it was sent, out of whatever body."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.tracker.echo import transaction_id

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    values, st.dictionaries(st.text(), values, max_size=4), st.sampled_from(["", "}", ",", '"', "x", ',"y":'])
)
def test_it_is_found_in_front_of_what_is_spoilt(sent: object, others: dict[str, object], rest: str) -> None:
    others.pop("transaction_id", None)
    text = json.dumps(sent)
    body = json.dumps({**others, "transaction_id": 0})[:-2] + text + "}" + rest
    assert bytes(transaction_id(body.encode())) == text.encode()


@given(st.binary() | st.text().map(lambda text: ('{"transaction_id":' + text).encode()))
def test_whatever_is_sent_what_is_echoed_is_json(body: bytes) -> None:
    msgspec.json.decode(transaction_id(body))


@pytest.mark.parametrize(
    ("body", "echoed"),
    [
        (b"", "null"),
        (b"{", "null"),
        (b"[]", "null"),
        (b"{}", "null"),
        (b"{5:6}", "null"),
        (b'{"transaction_id"', "null"),
        (b'{"transaction_id":', "null"),
        (b'{"transaction_id":"a', "null"),
        (b'{"transaction_id":12', "null"),  # it may have been 123
        (b'{"transaction_id":12,', "12"),
        (b'{"transaction_id":"a","value":1', '"a"'),
        (b' { "transaction_id" : [ 1 ] , x', "[ 1 ]"),
        (b'{"transaction_id":1,"transaction_id":2,"v":x', "2"),
        (b'{"v":{"transaction_id":1},x', "null"),
        (b'{"transaction_id":NaN,', "null"),
        (b'{"transaction_id":"\xff"}', "null"),
        (b'{"v":"\xff","transaction_id":"b"}', '"b"'),
        (b'{"transaction_id":"\\ud800"}', "null"),
        (b'{"transaction_id":' + b"[" * 60_000, "null"),
        (b'{"transaction_id":' + b"9" * 60_000 + b",", "null"),
    ],
)
def test_what_can_be_made_out(body: bytes, echoed: str) -> None:
    assert bytes(transaction_id(body)).decode() == echoed
