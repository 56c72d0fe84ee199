"""A refusal names the field, says what it takes, and repeats no value."""

from datetime import datetime
from typing import Annotated, Literal

import pytest
from msgspec import Meta, Struct

from dialects.base import MappingError, Refused
from dialects.decoding import Shape, expectations
from dialects.fields import Integer, Number, Object, Quantity, Text


class Inner(Struct):
    """A struct within a struct."""

    name: Text
    size: Quantity | None = None


class Cat(Struct, tag_field="kind", tag="cat"):
    """One of two."""

    inner: Annotated[Inner, Meta(description="an object with a name")]
    names: Annotated[list[Text], Meta(min_length=1, description="a list of names")] | None = None


class Dog(Struct, tag_field="kind", tag="dog"):
    """The other of two."""

    weight: Number
    colour: Literal["red", "brown"] = "red"
    born: Annotated[datetime, Meta(tz=True, description="a date-time")] | None = None
    tags: dict[str, Text] | None = None
    free: Object | None = None
    legs: Integer = 4
    height: Annotated[float, Meta(ge=0, description="a number")] | Literal[""] | None = None


PETS: Shape[Cat | Dog] = Shape(Cat | Dog, event_type="kind")
CATS: Shape[Cat] = Shape(Cat)


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        ("[]", "wrong_type", ""),
        ("null", "wrong_type", ""),
        ("{}", "missing_field", "kind"),
        ('{"kind":"secret"}', "unknown_event_type", "kind"),
        ('{"kind":5}', "wrong_type", "kind"),
        ('{"kind":"cat"}', "missing_field", "inner"),
        ('{"kind":"cat","inner":"secret"}', "wrong_type", "inner"),
        ('{"kind":"cat","inner":{}}', "missing_field", "inner.name"),
        ('{"kind":"cat","inner":{"name":""}}', "invalid_value", "inner.name"),
        ('{"kind":"cat","inner":{"name":"a","size":0}}', "invalid_value", "inner.size"),
        ('{"kind":"cat","inner":{"name":"a","size":1.0}}', "wrong_type", "inner.size"),
        ('{"kind":"cat","inner":{"name":"a"},"names":[]}', "invalid_value", "names"),
        ('{"kind":"cat","inner":{"name":"a"},"names":["b",5]}', "wrong_type", "names[1]"),
        ('{"kind":"dog"}', "missing_field", "weight"),
        ('{"kind":"dog","weight":1,"height":"tall"}', "wrong_type", "height"),
        ('{"kind":"dog","weight":1,"height":[]}', "wrong_type", "height"),
        ('{"kind":"dog","weight":1,"height":-1}', "invalid_value", "height"),
        ('{"kind":"dog","weight":1,"colour":"secret - at `$.x"}', "unknown_value", "colour"),
        ('{"kind":"dog","weight":1,"born":"secret"}', "invalid_time", "born"),
        ('{"kind":"dog","weight":1,"born":"2026-04-02T12:00:00"}', "invalid_time", "born"),
        ('{"kind":"dog","weight":1,"tags":{"secret":""}}', "invalid_value", "tags[...]"),
        ('{"kind":"dog","weight":1,"free":"secret"}', "wrong_type", "free"),
        ('{"kind":"dog","weight":1,"legs":9223372036854775808}', "invalid_value", "legs"),
        ('{"kind":"dog","weight":1,"legs":' + "9" * 5000 + "}", "invalid_value", "legs"),
        ('{"kind":"dog","weight":1', "invalid_json", ""),
        ("", "invalid_json", ""),
        ('{"kind":"dog","weight":' + "[" * 5000, "invalid_json", ""),
        ('{"kind":"dog","weight":1,"colour":"\\ud800"}', "invalid_json", ""),
    ],
)
def test_why_an_event_is_refused(text: str, code: str, field: str) -> None:
    refused = PETS.read(text.encode())
    assert isinstance(refused, Refused)
    assert (refused.code, refused.field) == (code, field)
    assert "secret" not in refused.message
    assert field in refused.message
    with pytest.raises(MappingError):
        PETS.mapped(text.encode())


def test_the_sentence_says_what_the_field_takes() -> None:
    def why(text: bytes) -> str:
        refused = PETS.read(text)
        assert isinstance(refused, Refused)
        return refused.message

    assert why(b'{"kind":"cat"}') == "Add `inner`: an object with a name."
    assert why(b'{"kind":"cow"}') == "`kind` must be one of cat, dog."
    assert why(b'{"kind":"dog","weight":1,"colour":5}') == "`colour` must be one of brown, red."


def test_of_duplicate_keys_only_the_last_is_judged() -> None:
    event = PETS.read(b'{"kind":"cat","weight":1,"legs":"x","kind":"dog","legs":3}')
    assert isinstance(event, Dog)
    assert event.legs == 3
    refused = PETS.read(b'{"kind":"dog","weight":1,"legs":3,"legs":"x"}')
    assert isinstance(refused, Refused)
    assert refused.field == "legs"


def test_bytes_that_are_not_utf8_are_no_json() -> None:
    refused = PETS.read(b'{"kind":"cat","inner":{"name":"\xff"}}')
    assert isinstance(refused, Refused)
    assert refused.code == "invalid_json"


def test_an_event_taken_apart_shows_all_that_is_wrong() -> None:
    sound, wrong = CATS.take_apart(b'{"inner":{"name":5,"size":0},"names":["a"],"other":1}')
    assert sound == {"names": ["a"]}
    assert [(r.code, r.field) for r in wrong] == [
        ("wrong_type", "inner.name"),
        ("invalid_value", "inner.size"),
    ]
    assert wrong[0].message == "`inner.name` must be a non-empty string."


def test_what_cannot_be_taken_apart() -> None:
    assert CATS.take_apart(b"[]") == ({}, [Refused("wrong_type", "The event must be an object.")])
    sound, wrong = CATS.take_apart(b'{"inner":7}')
    assert sound == {}
    assert [(r.code, r.field) for r in wrong] == [("wrong_type", "inner")]
    assert [r.code for r in CATS.take_apart(b"{")[1]] == ["invalid_json"]


def test_every_field_has_an_expectation() -> None:
    assert expectations(Cat | Dog)["names[]"] == "a non-empty string"
    assert expectations(Cat | Dog)["kind"] == "one of cat, dog"
