"""A conversion never fails over an optional field, and its key tells one sale from another."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.decoding import Shape
from dialects.tracker.conversion import Sale, sale
from dialects.tracker.wire import Conversion

FIELDS = ("transaction_id", "value", "currency", "event", "timestamp")
SHAPE: Shape[Conversion] = Shape(Conversion)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)


def told(**fields: object) -> Sale:
    return sale(SHAPE.mapped(json.dumps({"tenant_slug": "s", **fields}).encode()))


@given(st.dictionaries(st.sampled_from(FIELDS), values))
def test_any_value_is_used_or_defaulted(fields: dict[str, object]) -> None:
    found = told(**fields)
    assert set(found.defaulted) <= {name for name, value in fields.items() if value is not None}
    assert len(found.currency) == 3
    assert 1 <= len(found.event) <= 64


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("transaction_id", ""),
        ("transaction_id", True),
        ("transaction_id", 1.5),
        ("transaction_id", ["t"]),
        ("value", "150"),
        ("value", True),
        ("value", 1e32),
        ("currency", ""),
        ("currency", "XYZ"),
        ("currency", 340),
        ("event", ""),
        ("event", "e" * 65),
        ("event", {}),
        ("timestamp", ""),
        ("timestamp", "soon"),
        ("timestamp", 1_775_131_200),
        ("timestamp", "1972-12-31"),
        ("timestamp", "2200-01-01"),
    ],
)
def test_the_unusable_takes_its_default(field: str, value: object) -> None:
    assert told(**{field: value}) == told()._replace(defaulted=(field,))


def test_the_usable_is_used() -> None:
    found = told(transaction_id=7, value=-0.5, currency=" hnl ", event="e" * 64, timestamp="2026-04-02")
    assert found == Sale("7", "-0.500000", "HNL", "e" * 64, 1_775_088_000_000, ())


def test_one_sale_told_again_has_the_same_key_and_another_amount_has_not() -> None:
    first = told(transaction_id="t", value=150)
    assert first.dedup_key == told(transaction_id="t", value=150.00, currency="HNL", timestamp="x").dedup_key
    others = [
        told(transaction_id="t", value=151),
        told(transaction_id="u", value=150),
        told(transaction_id="t", value=150, currency="USD"),
        told(transaction_id="t", value=150, event="refund"),
        told(transaction_id='t","purchase', value=150),
    ]
    assert len({first.dedup_key, *(other.dedup_key for other in others)}) == 6
    assert told(value=150).dedup_key is None
