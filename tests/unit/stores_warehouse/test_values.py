"""What is refused before the driver could turn it into something else."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from stores.base import InsertRefused, QueryRefused
from stores.warehouse import values


def test_a_block_is_a_copy() -> None:
    given = {"a": (1, 2), "b": ["x", "y"]}
    block = values.block(given)
    assert block == [[1, 2], ["x", "y"]]
    assert block[1] is not given["b"]


@pytest.mark.parametrize("given", [{}, {"a": []}, {"a": [1], "b": [1, 2]}, {"a": range(values.ROWS_MAX + 1)}])
def test_a_block_has_rows_and_columns_of_one_length(given: dict[str, Any]) -> None:
    with pytest.raises(InsertRefused):
        values.block(given)


@pytest.mark.parametrize(
    "value",
    [
        b"bytes",
        [b"bytes"],
        Decimal("NaN"),
        Decimal("-Infinity"),
        datetime(2026, 1, 1),  # noqa: DTZ001
        datetime(1972, 12, 31, tzinfo=UTC),
        (datetime(2200, 1, 1, tzinfo=UTC),),
    ],
)
def test_values_that_would_change_on_their_way(value: object) -> None:
    with pytest.raises(InsertRefused):
        values.block({"a": [None, value]})


def test_values_that_arrive() -> None:
    given = [
        1,
        "x",
        True,
        None,
        1.5,
        uuid4(),
        Decimal("1.5"),
        datetime(2199, 12, 31, tzinfo=UTC),
        ["x", None],
    ]
    assert values.block({"a": given}) == [given]


def test_the_statement_names_its_columns() -> None:
    assert values.insert_statement("events_in_1", ["ko", "row"]) == (
        "INSERT INTO `events_in_1` (`ko`, `row`) VALUES"
    )


@pytest.mark.parametrize("name", ["a`b", "a b", "", "a;", "1a", "db.table"])
def test_names_are_plain(name: str) -> None:
    with pytest.raises(AssertionError):
        values.insert_statement(name, ["a"])
    with pytest.raises(AssertionError):
        values.insert_statement("t", [name])


class Text(str):
    """A str that could say something else when it is formatted."""


@pytest.mark.parametrize(
    "value", [Decimal(1), {"a": 1}, {1}, b"x", datetime.now(UTC), object(), [[object()]], Text()]
)
def test_parameters_that_the_driver_would_not_escape(value: object) -> None:
    with pytest.raises(QueryRefused, match="parameter p "):
        values.params({"p": value})


def test_parameters_that_it_escapes() -> None:
    given = {"a": 1, "b": "x", "c": None, "d": [1, ("x", 2.5)], "e": True, "f": uuid4()}
    assert values.params(given) == given
