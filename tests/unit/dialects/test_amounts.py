"""Amounts are exact: no float, half-even to six places, never 33 digits."""

import re
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from dialects import amounts
from dialects.base import Refused

PLAIN = re.compile(r"-?(0|[1-9][0-9]{0,31})\.[0-9]{6}")

numbers = st.from_regex(
    r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
).filter(str.isascii)


@given(numbers)
def test_an_amount_is_the_number_that_was_sent(text: str) -> None:
    with localcontext() as exact:
        exact.prec = 2000
        wanted = Decimal(text).quantize(Decimal("0.000001"), ROUND_HALF_EVEN)
    found = amounts.read(Raw(text), "value")
    if abs(wanted) >= 10**32 or abs(Decimal(text)) >= 10**32:
        assert isinstance(found, Refused)
        assert found.code == "amount_out_of_range"
    else:
        assert isinstance(found, Decimal)
        assert found == wanted
        assert PLAIN.fullmatch(amounts.plain(found))
        assert Decimal(amounts.plain(found)) == wanted


@given(st.binary())
def test_no_bytes_raise(data: bytes) -> None:
    found = amounts.read(Raw(data), "value")
    assert isinstance(found, Decimal | Refused)


@pytest.mark.parametrize("text", ["", '"1"', "true", "null", "[]", "{}", "NaN", "Infinity", " 1"])
def test_only_a_number_is_an_amount(text: str) -> None:
    assert amounts.read(Raw(text), "f") == Refused("wrong_type", "`f` must be a number, without quotes.", "f")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("-0", "0.000000"),
        ("-0.0000001", "0.000000"),
        ("0.0000005", "0.000000"),
        ("0.0000015", "0.000002"),
        ("1e-999999999", "0.000000"),
        ("0e999", "0.000000"),
        ("99999999999999999999999999999999.9999994", "99999999999999999999999999999999.999999"),
    ],
)
def test_rounding(text: str, plain: str) -> None:
    amount = amounts.read(Raw(text), "f")
    assert isinstance(amount, Decimal)
    assert amounts.plain(amount) == plain


@pytest.mark.parametrize(
    "text",
    ["1e32", "-1e32", "99999999999999999999999999999999.9999995", "1e999999999", "1e99999999999999999999"],
)
def test_too_large_is_refused_before_it_costs_anything(text: str) -> None:
    refused = amounts.read(Raw(text), "f")
    assert isinstance(refused, Refused)
    assert refused.code == "amount_out_of_range"


def test_a_price_is_not_negative() -> None:
    refused = amounts.read_price(Raw("-0.01"), "f")
    assert isinstance(refused, Refused)
    assert refused.code == "invalid_value"
    assert amounts.read_price(Raw("-0.0"), "f") == 0


json_values = st.one_of(
    numbers, st.sampled_from(["null", "true", '"1"', '""', "[]", '{"a":1}', "1e11", "1e12", "-1", "-0"])
)


@given(json_values, st.integers(1, 2**63 - 1))
def test_the_short_check_says_what_the_long_way_would(text: str, quantity: int) -> None:
    price = amounts.read_price(Raw(text), "f")
    product = price if isinstance(price, Refused) else amounts.times(price, quantity, "f")
    wanted = product if isinstance(product, Refused) else None
    assert amounts.check_price(Raw(text), "f", quantity=quantity) == wanted


@given(json_values)
def test_a_price_is_written_as_the_long_way_writes_it(text: str) -> None:
    price = amounts.read_price(Raw(text), "f")
    wanted = price if isinstance(price, Refused) else amounts.plain(price)
    assert amounts.plain_price(Raw(text), "f") == wanted


@given(st.integers(0, 10**38 - 1), st.integers(1, 2**63 - 1))
def test_price_times_quantity_is_exact(millionths: int, quantity: int) -> None:
    price = Decimal(f"{millionths}e-6")
    found = amounts.times(price, quantity, "f")
    if millionths * quantity >= 10**38:
        assert isinstance(found, Refused)
    else:
        assert isinstance(found, Decimal)
        assert int(amounts.plain(found).replace(".", "")) == millionths * quantity
