"""Each operator on each type of value, asked of the real engine: what a property was sent as decides."""

from typing import Any

import pytest

from stores.warehouse import ClickHouse
from tests.unit.console.segments.people import BY_VALUE, TRICKY, TRICKY_NAME, VALUES
from tests.unit.console.segments.population import who

NOON = "2026-04-02T12:00:00Z"
DATES = ["later", "noon", "noon-zone", "old"]
NUMBERS = ["big", "five", "five-point", "less-big", "minus", "tiny", "zero"]
EVERYONE = sorted([*BY_VALUE, "other-name", "extra", "nothing"])
VALUED = sorted(set(EVERYONE) - {"nothing"})
UNSET = {"null", "object", "list", "other-name", "extra"}


async def found(warehouse: ClickHouse, where: dict[str, Any]) -> list[str]:
    return await who(warehouse, {"event": "Valued", "where": where}, tenant_id=VALUES)


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("is", "gold", ["gold"]),
        ("is", "5", ["five-text"]),
        ("is", "true", ["true-text"]),
        ("is", TRICKY, ["tricky"]),
        ("is", "2026-02-30T12:00:00Z", ["no-date"]),
        ("is", "2026-04-02T12:00:00", ["no-zone"]),
        ("is", "1775131200000", []),
        ("is", 5, ["five", "five-point"]),
        ("is", 5.0, ["five", "five-point"]),
        ("is", 0, ["zero"]),
        ("is", 1e-7, ["tiny"]),
        ("is", 9007199254740993, ["big"]),
        ("is", 9007199254740992, ["less-big"]),
        ("is", True, ["true"]),
        ("is", False, ["false"]),
        ("is", NOON, ["noon", "noon-zone"]),
        ("is", "2026-04-02T05:00:00-07:00", ["noon", "noon-zone"]),
        ("is", "1955-01-01T00:00:00.500Z", ["old"]),
        ("contains", "old", ["capital", "gold"]),
        ("contains", "5", ["d-text", "five-text"]),
        ("contains", '\'s "quoted" \\ %(p0)s {x}', ["tricky"]),
        ("contains", "ü\n", ["tricky"]),
        ("contains", "s", ["tricky"]),
        ("contains", "2026-0", ["day", "no-date", "no-zone"]),
        (">", 5, ["big", "less-big"]),
        (">=", 5, ["big", "five", "five-point", "less-big"]),
        ("<", 0, ["minus"]),
        ("<", 5, ["minus", "tiny", "zero"]),
        ("<=", 5, ["five", "five-point", "minus", "tiny", "zero"]),
        ("<=", 0.0000001, ["minus", "tiny", "zero"]),
        (">", -(10**18), NUMBERS),
        ("between", [-2.5, 5], ["five", "five-point", "minus", "tiny", "zero"]),
        ("between", [5, 5], ["five", "five-point"]),
        ("between", [NOON, NOON], ["noon", "noon-zone"]),
        ("between", ["1900-01-01T00:00:00Z", "2299-01-01T00:00:00Z"], DATES),
        ("before", NOON, ["old"]),
        ("before", "2026-04-02T12:00:00.001Z", ["noon", "noon-zone", "old"]),
        ("after", NOON, ["later"]),
        ("after", "1955-01-01T01:00:00+01:00", DATES),
    ],
)
async def test_values(warehouse: ClickHouse, operator: str, value: object, expected: list[str]) -> None:
    condition = {"property": "p", "operator": operator, "value": value}
    assert await found(warehouse, condition) == expected
    assert await found(warehouse, {"not": condition}) == sorted(set(VALUED) - set(expected))


async def test_exists_is_for_values_that_can_be_asked_for(warehouse: ClickHouse) -> None:
    exists = {"property": "p", "operator": "exists"}
    assert await found(warehouse, exists) == sorted(set(VALUED) - UNSET)
    assert await found(warehouse, {"not": exists}) == sorted(UNSET)
    assert await found(warehouse, {"property": "$extra", "operator": "exists"}) == []
    assert await found(warehouse, {"property": "unheard of", "operator": "exists"}) == []


@pytest.mark.parametrize("value", ["gold", 5, True, NOON])
async def test_is_not_is_the_opposite_of_is(warehouse: ClickHouse, value: object) -> None:
    """What is missing or of another type is not that value either."""
    asked = {"property": "p", "value": value}
    are = await found(warehouse, asked | {"operator": "is"})
    are_not = await found(warehouse, asked | {"operator": "is_not"})
    assert are
    assert sorted(are + are_not) == VALUED
    assert set(are_not) >= UNSET
    assert await found(warehouse, {"not": asked | {"operator": "is_not"}}) == are


@pytest.mark.parametrize("name", [TRICKY_NAME, "q"])
async def test_any_name(warehouse: ClickHouse, name: str) -> None:
    assert await found(warehouse, {"property": name, "operator": "is", "value": "gold"}) == ["other-name"]


@pytest.mark.parametrize(
    "attack",
    [
        "') OR 1=1 --",
        "p'] = '' OR ('1' = '1",
        "\\') OR (1=1",
        "%(tenant_id)s",
        "%s %% %(p0)s",
        "'; DROP TABLE events; --",
        "x\\",
        "`p`",
    ],
)
async def test_neither_names_nor_values_are_sql(warehouse: ClickHouse, attack: str) -> None:
    for operator in ("is", "contains"):
        assert await found(warehouse, {"property": attack, "operator": operator, "value": "gold"}) == []
        assert await found(warehouse, {"property": "p", "operator": operator, "value": attack}) == []
    by_name = {"event": attack, "where": {"field": "source", "operator": "is", "value": attack}}
    assert await who(warehouse, by_name, tenant_id=VALUES) == []
    for field in ("email", "custom_fields." + attack, "location." + attack):
        profile = {"profile": field, "operator": "is", "value": attack}
        assert await who(warehouse, profile, tenant_id=VALUES) == []
    assert await who(warehouse, {"event": "Valued"}, tenant_id=VALUES) == VALUED
