"""Currency codes: ISO 4217, in upper case, with those that ended lately."""

import pytest

from dialects import currencies


@pytest.mark.parametrize("code", ["MXN", "HNL", "USD", "EUR", "JPY", "XAF", "HRK", "BGN"])
def test_a_code_is_known(code: str) -> None:
    assert currencies.check(code, "currency") is None


@pytest.mark.parametrize("code", ["", "mxn", "MX", "MXNN", "MXP", "ZZZ", " MXN", "484", "€"])
def test_what_is_no_code(code: str) -> None:
    refused = currencies.check(code, "props.currency")
    assert refused is not None
    assert (refused.code, refused.field) == ("unknown_currency", "props.currency")


def test_a_withdrawn_code_is_none_of_today() -> None:
    assert all(len(code) == 3 and code.isupper() for code in currencies.CODES)
    assert len(currencies.CODES) > 150
