"""workers/persons/names: who is named, and what may be linked."""

import pytest

from schemas.persons import Identifier
from tests.contract.person_events import STORE, TENANT, customer, event, visit
from workers.persons.names import given, is_placeholder, may_link


@pytest.mark.parametrize(
    "value",
    [
        *("null", "undefined", "0", "guest", "anonymous", "test", "unknown", " NULL ", "Guest", "", "  "),
        *("00000000-0000-0000-0000-000000000000", "{00000000-0000-0000-0000-000000000000}", "0" * 32),
    ],
)
def test_a_placeholder(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize("value", ["00", "testing", "null-1", "10000000-0000-0000-0000-000000000000", "-"])
def test_no_placeholder(value: str) -> None:
    assert not is_placeholder(value)


@pytest.mark.parametrize(("value", "may"), [("ab", False), (" ab ", False), ("abc", True), ("é1x", True)])
def test_short_values_link_nothing(value: str, may: bool) -> None:
    assert may_link(value) is may


def test_names_of_a_customer_in_their_order() -> None:
    scope = f"redo/{STORE}"
    assert given(customer(1, "cust-1", "a@example.com", "+52"), "+525512345678").names == (
        Identifier(TENANT, scope, "id", "cust-1"),
        Identifier(TENANT, scope, "email", "a@example.com"),
        Identifier(TENANT, scope, "phone", "+525512345678"),
    )


def test_a_short_id_counts_only_where_nothing_else_is_given() -> None:
    assert [name.kind for name in given(customer(1, "c1", "a@example.com"), "").names] == ["email"]
    assert [name.value for name in given(customer(1, "c1"), "").names] == ["c1"]
    assert [name.value for name in given(visit(1, "guest", "u1"), "").names] == ["u1"]
    assert given(visit(1, "visitor-1", "u1"), "").names == ()


def test_a_device_and_what_it_came_with() -> None:
    of = given(visit(1, "visitor-1", "user-1"), "")
    assert (of.device, of.device_links) == (Identifier(TENANT, "alana", "device", "visitor-1"), True)
    assert of.names == (Identifier(TENANT, "alana", "id", "user-1"),)
    assert given(visit(1, "v1"), "")[:2] == (Identifier(TENANT, "alana", "device", "v1"), False)
    assert given(visit(1, "anonymous"), "").device is None


def test_what_names_nobody() -> None:
    assert given(event(1), "") == (None, False, ())
    assert given(customer(1, "null", "no address"), "") == (None, False, ())
