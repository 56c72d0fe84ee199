"""dialects/redo/mapping: what a customer object adds to a profile."""

from typing import Any

import pytest

from dialects import jsontext
from dialects.redo.mapping import profile


@pytest.mark.parametrize(
    ("customer", "added"),
    [
        ("{}", {}),
        ('{"id":"1","email":"a@b.c","phoneNumber":"+11234567890","loyalty":7}', {}),
        (
            '{"firstName":"Ann","lastName":"O\\"Hara \\u00e9"}',
            {"firstName": '"Ann"', "lastName": '"O\\"Hara é"'},
        ),
        ('{"firstName":"","lastName":null}', {}),
        ('{"firstName":" "}', {"firstName": '" "'}),
        (
            '{"location":{"city":"Lima","latitude":0,"longitude":-77.030,"moon":"x","state":""}}',
            {"location.city": '"Lima"', "location.latitude": "0", "location.longitude": "-77.030"},
        ),
        ('{"location":null,"customFields":""}', {}),
        (
            '{"customFields":{"a":0,"b":false,"c":null,"d":"","e":-0.0,"f":1.10,"":"x"}}',
            {"custom.a": "0", "custom.b": "false", "custom.e": "-0.0", "custom.f": "1.10", "custom.": '"x"'},
        ),
    ],
)
def test_what_is_given_and_what_is_not(customer: str, added: dict[str, Any]) -> None:
    assert profile(jsontext.read_object(customer.encode())) == added
