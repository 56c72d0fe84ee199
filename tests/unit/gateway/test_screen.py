"""The screen may be wrong in one direction only: what it calls clean breaks no rule."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content import judge
from gateway.screen import KEY_BYTES_MAX, is_clean

keys = st.one_of(
    st.text(max_size=8),
    st.integers(KEY_BYTES_MAX - 2, KEY_BYTES_MAX + 3).map(lambda n: "k" * n),
    st.integers(100, 140).map(lambda n: '":' * n),
    st.just("a\0b"),
)
numbers = st.one_of(
    st.integers(-(2**65), 2**65),
    st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**18, 10**19]),
    st.floats(allow_nan=False, allow_infinity=False),
)
texts = st.one_of(
    st.text(max_size=20),
    st.just("\0"),
    st.just("91e123bc-4e5678"),
    st.integers(17, 60).map(lambda n: "7" * n),
    st.integers(17, 60).map(lambda n: "o-" + "7" * n + "."),
    st.integers(0, 600).map(lambda n: "v" * n),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(keys, inner, max_size=5)),
    max_leaves=20,
)


@given(value=values, compact=st.booleans(), ascii_only=st.booleans())
def test_what_is_clean_breaks_no_rule(value: object, compact: bool, ascii_only: bool) -> None:
    separators = (",", ":") if compact else (" , ", " : ")
    text = json.dumps(value, separators=separators, ensure_ascii=ascii_only).encode("utf-8", "replace")
    if is_clean(text):
        # Read in full, it is just as fine.
        assert judge(text + b" " * 40_000) is None


@given(before=st.lists(values, max_size=3), after=st.lists(values, max_size=3), bad=st.integers(0, 4))
def test_a_bad_value_is_seen_among_others(before: list[object], after: list[object], bad: int) -> None:
    planted = ["a\0", 2**63, {"k" * 257: 1}, -(2**63) - 1, 10**400][bad]
    assert not is_clean(json.dumps([*before, planted, *after]).encode())


@pytest.mark.parametrize(
    "number",
    [
        "1e309",
        "-1E999",
        "1e+400",
        "1.5e0000999",
        "1" * 400 + "e0",
        "9" * 19,
        "-" + "1" * 19,
        "1" * 20 + ".5",
        "1" * 40,
    ],
)
@pytest.mark.parametrize("frame", ["%s", "[%s]", '{"a":%s}', '{"a":%s ,"b":1}', '{"a":\n%s\n}'])
def test_numbers_out_of_range_are_seen(number: str, frame: str) -> None:
    assert not is_clean((frame % number).encode())


@pytest.mark.parametrize(
    "text",
    [
        b'{"id":"91e123bc-7dec-11d0-a765-00a0c91e6bf6","n":1.5e10,"ts":1710244800000}',
        b'{"order_id":"o-1234567890123456789","cart":"12345678901234567890123"}',
        b'{"a":"\\"quoted\\"","b":"\\u00e9"}',
        b"[]",
        b"0",
    ],
)
def test_what_is_usual_is_clean(text: bytes) -> None:
    assert is_clean(text)


def test_a_flood_of_false_alarms_is_not_searched_through() -> None:
    assert not is_clean(b'{"a":"' + b"1e1234x" * 2_000 + b'"}')
