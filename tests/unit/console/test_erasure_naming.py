"""console/erasure/naming: whole values only, in every way in which JSON writes them."""

import json

import pytest
from msgspec import structs

from console.erasure.naming import Naming, Told, scope_of
from schemas.erasures import Subject, digest
from schemas.persons import Identifier, Kind, identifier

STORE = "redo/store-1"


def naming(*named: tuple[Kind, str], scope: str = STORE) -> Naming:
    found = tuple(identifier(1, scope, kind, value) for kind, value in named)
    return Naming(Subject(1, scope, (), found))


ANN = naming(("id", "7"), ("email", "ann@example.com"), ("phone", "+442079460000"))


@pytest.mark.parametrize(
    "customer",
    [
        {"email": "ann@example.com"},
        {"email": " Ann@EXAMPLE.com "},
        {"id": "7"},
        {"id": 7},
        {"phoneNumber": "+44 (0)20 7946 0000"},
        {"email": "other@example.com", "id": "7"},
    ],
)
def test_an_event_names_by_its_customer(customer: dict[str, object]) -> None:
    assert ANN.in_event(json.dumps({"eventName": "x", "customer": customer}))


@pytest.mark.parametrize(
    "event",
    [
        {"customer": {"email": "joann@example.com"}},
        {"customer": {"email": "ann@example.com.mx"}},
        {"customer": {"email": "ann@example.co"}},
        {"customer": {"email": "mailto:ann@example.com"}},
        {"customer": {"id": "77"}, "data": {"id": "7", "quantity": 7, "email": "x@y.z"}},
        {"customer": {"id": True}},
        {"customer": {"id": ["7"]}},
        {"customer": "7"},
        {"customer": {"phoneNumber": "+4420794600001"}},
        {"customer": {"email": ["ann@example.com"]}},
        ["ann@example.com"],
        7,
        None,
    ],
)
def test_an_event_that_only_looks_like_it_names_nobody(event: object) -> None:
    assert not ANN.in_event(json.dumps(event))


def told(**event: object) -> Told:
    given = {"dialect": "redo", "source": "store-1", "person_id": None} | event
    texts = dict.fromkeys(("subject", "user_id", "anonymous_id", "email", "phone"), "")
    return Told(**(texts | given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "event",
    [
        {"user_id": "7"},
        {"email": "ann@example.com"},
        {"phone": "+44 20 7946 0000"},
        {"subject": "ann@example.com"},
        {"subject": "7"},
        {"user_id": "8", "email": "Ann@example.com"},
        {"person_id": "a-person", "dialect": "relo"},
    ],
)
def test_a_match_is_of_who_is_behind_its_event(event: dict[str, object]) -> None:
    named = Naming(structs.replace(ANN._subject, person_ids=("a-person",)))
    assert named.in_match(told(**event))


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"user_id": "77"},
        {"email": "joann@example.com"},
        {"email": "7"},
        {"anonymous_id": "7", "dialect": "relo"},
        {"email": "ann@example.com", "source": "store-2"},
        {"email": "ann@example.com", "dialect": "relo"},
        {"person_id": "another"},
    ],
)
def test_a_match_of_somebody_else(event: dict[str, object]) -> None:
    assert not Naming(structs.replace(ANN._subject, person_ids=("a-person",))).in_match(told(**event))


def test_an_event_may_mention_somebody_without_being_about_them() -> None:
    text = json.dumps({"customer": {"id": "8"}, "data": {"friend": "ann@example.com"}})
    assert not ANN.in_event(text)
    assert ANN.in_letter(text, "store-1")


@pytest.mark.parametrize(
    "raw",
    [
        r'{"customer":{"email":"ann@example.com"}}',
        r'{"customer":{"email":"\u0061nn\u0040example.com"}}',
        r'{"customer":{"e\u006dail":"ANN@example.com"}}',
        r'{"customer":{"e-mail":"ann@example.com"}}',
        r'{"ann@example.com":1}',
        r'{"raw":"{\"customer\":{\"email\":\"ann@example.com\"}}"}',
        r'{"customer":{"email":"ann@example.com"},"cut of',
        r'{"customer":{"e":"\u0061nn@example.com"},"cut of',
        r'{"customer":{"id":"7"},"cut of',
        r'{"v":1,"source":"store-1","event":{"customer":{"id":"7"}}}',
    ],
)
def test_a_letter_names_however_it_is_written(raw: str) -> None:
    assert ANN.in_letter(raw, "store-1")


@pytest.mark.parametrize(
    "raw",
    [
        r'{"customer":{"email":"joann@example.com"}}',
        r'{"customer":{"note":"write to ann@example.com"}}',
        r'{"customer":{"email":"joann@example.com"},"cut of',
        r'{"customer":{"name":"7"},"cut of',
        r'{"customer":{"id":"77"},"data":"7","cut of',
        r'{"v":1,"source":"store-2","event":{"customer":{"id":"7"}}}',
        "",
        "\\",
        '"',
    ],
)
def test_a_letter_of_somebody_else_stays(raw: str) -> None:
    assert not ANN.in_letter(raw, "store-1")


def test_a_store_s_letter_is_not_another_s() -> None:
    assert not ANN.in_letter('{"customer":{"email":"ann@example.com"}}', "store-2")


def test_devices_are_named_where_their_protocol_has_them() -> None:
    mei = naming(("device", "d-1"), ("id", "42"), ("email", "mei@x.y"), scope="relo")
    assert mei.in_event('{"did":"d-1"}')
    assert mei.in_event('{"did":"d-2","props":{"user_id":42}}')
    assert mei.in_letter('{"props":{"email":"Mei@x.y"}}', "3")
    assert not mei.in_event('{"did":"d-11","props":{"device":"d-1"}}')
    assert not mei.in_letter('{"props":{"sku":"d-1","user_id":421}}', "3")
    assert (scope_of("relo", "3"), scope_of("alana", "key"), scope_of("redo", "s")) == (
        "relo",
        "alana",
        "redo/s",
    )


def test_a_long_value_is_found_by_its_digest() -> None:
    long = "x" * 500
    assert naming(("id", long)).in_event(json.dumps({"customer": {"id": long}}))


def test_a_digest_tells_tenants_scopes_and_kinds_apart() -> None:
    named = Identifier(1, "relo", "id", "a")
    others = [
        named._replace(tenant_id=2),
        named._replace(scope="alana"),
        named._replace(kind="device"),
        named._replace(value="b"),
        named._replace(scope="rel", value="oa"),
    ]
    assert len({digest(each) for each in (named, *others)}) == 6
    assert digest(named).hex() == digest(Identifier(1, "relo", "id", "a")).hex()
