"""schemas/persons: ids that are the same everywhere, values that fit an index."""

from schemas.persons import (
    VALUE_CHARACTERS_MAX,
    Identifier,
    Kind,
    Pair,
    identifier,
    is_uuid,
    merges_of,
    person_id,
)
from schemas.topics import Coordinates

AT = Coordinates(1, "events.raw", 0, 1)


def test_a_person_s_id_follows_from_what_made_it() -> None:
    """Fixed for good: the rows that are stored have it."""
    made_by = Identifier(1, "redo/store", "email", "a@example.com")
    assert person_id(made_by) == "89c727c5-828a-5f11-99b6-4bf355fecd55"
    others = [
        made_by._replace(tenant_id=2),
        made_by._replace(scope="redo/other"),
        made_by._replace(kind="id"),
    ]
    assert (
        len({person_id(made_by), person_id(made_by, 1), person_id(made_by, 2), *map(person_id, others)}) == 6
    )


def test_a_long_value_stands_by_its_digest() -> None:
    def made(value: str, kind: Kind = "id") -> str:
        return identifier(1, "relo", kind, value).value

    longest = "é" * VALUE_CHARACTERS_MAX
    assert made(longest) == longest
    assert made(longest + "a") != made(longest + "b")
    assert len(made("x" * 32_768)) < VALUE_CHARACTERS_MAX


def test_what_pairs_merge() -> None:
    device, user = Identifier(1, "relo", "device", "did-1"), Identifier(1, "relo", "id", "user-1")

    def pair(person: str | None, unlinked_at: int | None = None) -> Pair:
        return Pair(device, user, person, "event", AT, 5, unlinked_at)

    own = person_id(device)
    assert merges_of([pair("p"), pair(own), pair(None), pair("q", 6)]) == [(1, own, "p")]


def test_a_uuid_as_we_write_it() -> None:
    text = "7f0f3c0e-0d0c-4a3e-9b1a-5a5f0c1d2e3f"
    assert [is_uuid(each) for each in (text, text.upper(), text.replace("-", ""), "cust-1", "")] == [
        True,
        False,
        False,
        False,
        False,
    ]
