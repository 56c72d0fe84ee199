"""The profile of a customer over the api: to whom it is shown, and what it holds."""

from urllib.parse import quote
from uuid import UUID, uuid4

import pytest

from schemas.persons import Link, customer_scope, identifier, person_id
from schemas.topics import RAW, Coordinates
from stores.warehouse import ClickHouse
from tests.unit.console.conftest import Api

STORE = "store-1"
FIELDS = {
    "id": '"cust-1"',
    "email": '"ann@example.com"',
    "firstName": '"Ann"',
    "location.city": '"Lima"',
    "location.latitude": "-12.050",
    "custom.Age": "0",
    "custom.Tier": "",  # taken away
    "since": "1700000000000",
}
NEWEST_MS = 1_790_000_000_123


def path(id: str, store: str = STORE) -> str:
    return f"/penstock/v1/stores/{store}/customers/{id}"


@pytest.fixture
async def person(api: Api, warehouse: ClickHouse) -> str:
    """A customer with a token of its store, and of another store of the same tenant."""
    for store in (STORE, "store-2"):
        _, secret = await api.registry.add_token(1, "redo", scopes=("write", "read"), store=store)
        api.secrets[store] = secret
    named = identifier(1, customer_scope("redo", STORE), "id", "cust-1")
    made = person_id(named)
    link = Link(named, made, "created", str(uuid4()), Coordinates(1, RAW, 0, 1), NEWEST_MS, slot="id")
    await api.registry.add_links([link])
    await warehouse.execute("TRUNCATE TABLE customer_fields")
    for field, value in FIELDS.items():
        sql = (
            "INSERT INTO customer_fields SELECT 1, toUUID(%(person)s), 'redo', %(store)s, %(field)s, "
            "%(value)s, bitShiftLeft(toUInt128(toInt64(%(at)s)), 80)"
        )
        given = {"person": made, "store": STORE, "field": field, "value": value, "at": NEWEST_MS}
        await warehouse.execute(sql, given)
    return made


async def test_the_store_s_own_token_sees_the_profile(api: Api, person: str) -> None:
    answer = await api.get(path("cust-1"), STORE)
    assert answer.status_code == 200
    assert answer.json() == {
        "person_id": person,
        "id": "cust-1",
        "email": "ann@example.com",
        "phone_number": "",
        "first_name": "Ann",
        "last_name": "",
        "location": {"city": "Lima", "latitude": -12.05},
        "custom_fields": {"Age": 0},
        "created_at": "2023-11-14T22:13:20Z",
        "updated_at": "2026-09-21T14:13:20.123000Z",
    }
    assert b'"latitude":-12.050' in answer.content
    assert (await api.get(path(person), STORE)).json() == answer.json()
    assert (await api.get(path("cust-1") + "/", "one-read")).json() == answer.json()


@pytest.mark.parametrize("id", ["gid://shop/Customer/7", "a/b", "7 %/é", "/", "7/"])
async def test_an_id_may_have_any_characters(api: Api, warehouse: ClickHouse, person: str, id: str) -> None:
    named = identifier(1, customer_scope("redo", STORE), "id", id)
    link = Link(named, person, "enriched", str(uuid4()), Coordinates(1, RAW, 0, 2), NEWEST_MS)
    await api.registry.add_links([link])
    asked = path(quote(id, safe=""))
    found = await api.get(asked if not id.endswith("/") else asked + "/", STORE)
    assert (found.status_code, found.json().get("person_id")) == (200, person)


async def test_a_profile_of_which_all_was_taken_away(api: Api, warehouse: ClickHouse, person: str) -> None:
    await warehouse.execute("ALTER TABLE customer_fields DELETE WHERE field NOT IN ('since', 'custom.Tier')")
    shown = (await api.get(path("cust-1"), STORE)).json()
    assert (shown["email"], shown["custom_fields"]) == ("", {})
    assert shown["created_at"] == shown["updated_at"] == "2023-11-14T22:13:20Z"


async def test_the_view_says_the_same(api: Api, warehouse: ClickHouse, person: str) -> None:
    [row] = await warehouse.query("SELECT * FROM customers")
    assert row["person_id"] == UUID(person)
    assert (row["customer_id"], row["email"], row["first_name"]) == ("cust-1", "ann@example.com", "Ann")
    assert (row["location"], row["custom_fields"]) == ('{"city":"Lima","latitude":-12.050}', '{"Age":0}')
    assert (row["created_at"].year, row["updated_at"].microsecond) == (2023, 123_000)


@pytest.mark.parametrize(
    ("asked", "token", "status", "code"),
    [
        (path("cust-1"), "", 401, "token_missing"),
        (path("cust-1"), "one-write", 403, "scope_missing"),
        (path("cust-1"), "store-2", 403, "store_not_allowed"),
        (path("cust-1"), "two-read", 404, "customer_unknown"),
        (path("cust-2"), STORE, 404, "customer_unknown"),
        (path("cust-1", "store-2"), "store-2", 404, "customer_unknown"),
        (path("00000000-0000-5000-8000-000000000000"), STORE, 404, "customer_unknown"),
    ],
)
async def test_all_others_are_told_why(
    api: Api, person: str, asked: str, token: str, status: int, code: str
) -> None:
    answer = await api.get(asked, token)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_one_whose_events_are_not_stored_yet_is_unknown(
    api: Api, warehouse: ClickHouse, person: str
) -> None:
    await warehouse.execute("TRUNCATE TABLE customer_fields")
    assert (await api.get(path("cust-1"), STORE)).json()["code"] == "customer_unknown"
