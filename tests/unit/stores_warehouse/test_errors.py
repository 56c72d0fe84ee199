"""What an error means: try again, split the block, or stop."""

import struct

import pytest
from clickhouse_driver import errors as driver

from stores.base import InsertRefused, QueryRefused, StoreError, StoreMisconfigured, StoreUnavailable
from stores.warehouse import errors

WHERE = "db:9000/penstock"


def served(code: int, text: str = "DB::Exception: no. Stack trace:\n\n1. frame") -> driver.ServerException:
    return driver.ServerException(text, code)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (served(395), InsertRefused),
        (served(349), InsertRefused),
        (served(6), InsertRefused),
        (served(117), InsertRefused),
        (served(252), StoreUnavailable),
        (served(241), StoreUnavailable),
        (served(243), StoreUnavailable),
        (served(159), StoreUnavailable),
        (served(242), StoreUnavailable),
        (served(9999), StoreUnavailable),
        (served(60), StoreMisconfigured),
        (served(81), StoreMisconfigured),
        (served(16), StoreMisconfigured),
        (served(516), StoreMisconfigured),
        (served(497), StoreMisconfigured),
        (EOFError("Unexpected EOF while reading bytes"), StoreUnavailable),
        (ConnectionResetError(), StoreUnavailable),
        (TimeoutError("timed out"), StoreUnavailable),
        (driver.NetworkError("refused"), StoreUnavailable),
        (driver.SocketTimeoutError("late"), StoreUnavailable),
        (driver.UnexpectedPacketFromServerError("x"), StoreUnavailable),
        (driver.TypeMismatchError("x"), InsertRefused),
        (struct.error("x"), InsertRefused),
        ("\ud800", InsertRefused),
        (TypeError("x"), InsertRefused),
        (AttributeError("x"), InsertRefused),
    ],
)
def test_an_insert(error: Exception | str, meaning: type[StoreError]) -> None:
    if isinstance(error, str):
        with pytest.raises(UnicodeEncodeError) as caught:
            error.encode()
        error = caught.value
    assert type(errors.of_insert(error, WHERE)) is meaning
    assert isinstance(error, errors.DRIVER_ERRORS)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (served(62), QueryRefused),
        (served(60), QueryRefused),
        (served(164), QueryRefused),
        (served(497), QueryRefused),
        (served(396), QueryRefused),
        (served(9999), QueryRefused),
        (served(159), StoreUnavailable),
        (served(202), StoreUnavailable),
        (served(241), StoreUnavailable),
        (served(394), StoreUnavailable),
        (served(81), StoreMisconfigured),
        (served(516), StoreMisconfigured),
        (EOFError(), StoreUnavailable),
        (OSError(111, "Connection refused"), StoreUnavailable),
        (KeyError("name"), QueryRefused),
        (ValueError("unsupported format character"), QueryRefused),
    ],
)
def test_a_query(error: Exception, meaning: type[StoreError]) -> None:
    assert type(errors.of_query(error, WHERE)) is meaning


def test_a_message_is_one_sentence() -> None:
    text = (
        "DB::Exception: a part is missing: while executing 'FUNCTION throwIf(secret)'. Stack trace:\n\n1. x"
    )
    assert str(errors.of_insert(served(395, text), WHERE)) == "a part is missing"
    assert str(errors.of_query(served(62), WHERE)) == "no"


def test_a_value_is_never_repeated() -> None:
    assert "secret" not in str(errors.of_insert(driver.TypeMismatchError("got secret"), WHERE))


@pytest.mark.parametrize(("code", "hint"), [(60, "penstock migrate"), (516, "PENSTOCK_CLICKHOUSE_URL")])
def test_a_wrong_installation_says_what_to_do(code: int, hint: str) -> None:
    assert hint in str(errors.of_insert(served(code), WHERE))
    assert WHERE in str(errors.of_insert(served(code), WHERE))


@pytest.mark.parametrize("error", [driver.SocketTimeoutError("(db:9000)"), TimeoutError("timed out")])
def test_an_answer_that_does_not_come_is_told_as_such(error: Exception) -> None:
    told = "ClickHouse at db:9000/penstock does not answer: nothing came in time"
    assert str(errors.of_query(error, WHERE)) == told
