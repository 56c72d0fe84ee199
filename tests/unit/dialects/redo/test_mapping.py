"""What becomes of redo's data."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from dialects.base import Accepted
from dialects.redo.mapping import to_event
from dialects.redo.rules import dedup_key, validate
from schemas.envelope import Envelope
from schemas.event import Event

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def mapped(data: str) -> Event:
    event = Raw(('{"eventName":"e","customer":{"id":"c"},"data":' + data + "}").encode())
    return to_event(
        Envelope(
            v=1,
            id="i",
            dialect="redo",
            endpoint="event",
            tenant=1,
            received_at=1_775_131_200_000,
            request="r",
            of=1,
            event=event,
        )
    )


@given(st.dictionaries(st.text().filter(lambda key: key != "$extra"), values))
def test_only_what_is_unset_is_left_out(data: dict[str, object]) -> None:
    unset = {key for key, value in data.items() if value is not False and value in (None, "", 0)}
    kept = {key: value for key, value in data.items() if key not in unset}
    assert json.loads(mapped(json.dumps(data)).properties) == kept


@pytest.mark.parametrize("zero", ["0", "-0", "0.0", "-0.000", "0e9", "0.0E-3"])
def test_every_zero_is_unset(zero: str) -> None:
    assert mapped(f'{{"a":{zero},"b":[{zero}]}}').properties == f'{{"b":[{json_kept(zero)}]}}'


def json_kept(zero: str) -> str:
    return "0" if zero == "-0" else zero  # the one number whose text is not kept: an integer has one zero


@given(values, st.sampled_from(["", " ", "\n\t "]))
def test_extra_is_kept_byte_for_byte(extra: object, space: str) -> None:
    text = json.dumps(extra, indent=1)
    event = mapped(f'{{"a":1,"$extra":{space}{text}{space},"b":2}}')
    assert event.extra == text
    assert json.loads(event.properties) == {"a": 1, "b": 2}


def test_extra_counts_at_the_top_of_data_only_and_the_last_one_wins() -> None:
    event = mapped('{"n":{"$extra":1},"$extra":{"a": 1},"\\u0024extra":{"b":  0}}')
    assert event.extra == '{"b":  0}'
    assert json.loads(event.properties) == {"n": {"$extra": 1}}


def test_the_key_of_a_unique_id_is_of_its_store() -> None:
    assert dedup_key("a", "b") == '["redo","a","b"]'
    assert dedup_key('a","b', "c") != dedup_key("a", 'b","c')
    accepted = validate(Raw(b'{"eventName":"e","customer":{"id":"c"}}'), None)
    assert isinstance(accepted, Accepted)
    assert accepted.dedup_key is None
    assert msgspec.json.decode(dedup_key("s", "\u00e9\u0001")) == ["redo", "s", "\u00e9\u0001"]
