"""JSON stays as it was written, but for keys that stand twice."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from dialects import jsontext
from dialects.base import MappingError

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), values))
def test_what_is_read_is_written_again(members: dict[str, object]) -> None:
    text = json.dumps(members)
    assert json.loads(jsontext.write_object(jsontext.read_object(text.encode()))) == members


def test_numbers_keep_their_digits_and_the_last_key_wins() -> None:
    text = b'{"a":1,"p":24999.00,"q":[1e5,{"r":0.1000,"r":-0.0}],"n":12345678901234567890,"a":2.50}'
    once = b'{"a":2.50,"p":24999.00,"q":[1e5,{"r":-0.0}],"n":12345678901234567890}'
    assert jsontext.without_duplicates(text) == once
    assert jsontext.write_object(jsontext.read_object(text)).encode() == once


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"5", b'"\xff"', b'{"a":"\xff"}', b"[" * 5000, b'{"a":' * 5000]
)
def test_what_is_no_object_raises_nothing_else(text: bytes) -> None:
    with pytest.raises(MappingError):
        jsontext.read_object(text)


@pytest.mark.parametrize(
    ("text", "members"),
    [
        (b'{"a":1,"props":{"x":1.50,"y":null}}', {"x": Raw(b"1.50"), "y": None}),
        (b'{"props":{"x":1},"props":{"y":2,"y":3}}', {"y": 3}),
        (b'{"props":7,"props":{"y":2}}', {"y": 2}),
        (b'{"a":{"props":{"x":1}}}', {}),
    ],
)
def test_one_member_is_read_as_the_whole_would_be(text: bytes, members: dict[str, object]) -> None:
    assert jsontext.member("props")(text) == members


def test_one_member_of_what_is_no_object() -> None:
    with pytest.raises(MappingError):
        jsontext.member("props")(b"[]")


def test_the_text_of_a_value() -> None:
    assert jsontext.text(Raw(b'{"a": "\xc3\xa9"}')) == '{"a": "é"}'
    with pytest.raises(MappingError):
        jsontext.text(Raw(b"\xff"))


def test_given_is_what_is_there_and_not_null() -> None:
    assert not jsontext.is_given(Raw())
    assert not jsontext.is_given(Raw(b"null"))
    assert jsontext.is_given(Raw(b"0"))
    assert jsontext.is_given(Raw(b'""'))
