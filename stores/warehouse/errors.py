"""What an error of ClickHouse, or of its driver, means for the caller.

For an insert the question is who is at fault: the engine (try again), a row (split the block), or the
installation (stop). An unknown code is taken for the engine's fault: a block is never given up by mistake.
"""

import re
import struct
from decimal import DecimalException

from clickhouse_driver import errors as driver

from stores.base import InsertRefused, QueryRefused, StoreError, StoreMisconfigured, StoreUnavailable

_STOP = {
    16: "NO_SUCH_COLUMN_IN_TABLE",
    20: "NUMBER_OF_COLUMNS_DOESNT_MATCH",
    36: "BAD_ARGUMENTS",
    46: "UNKNOWN_FUNCTION",
    47: "UNKNOWN_IDENTIFIER",
    50: "UNKNOWN_TYPE",
    60: "UNKNOWN_TABLE",
    62: "SYNTAX_ERROR",
    81: "UNKNOWN_DATABASE",
    115: "UNKNOWN_SETTING",
    164: "READONLY",
    452: "SETTING_CONSTRAINT_VIOLATION",
}

_NO_ACCESS = {
    81: "UNKNOWN_DATABASE",
    192: "UNKNOWN_USER",
    193: "WRONG_PASSWORD",
    194: "REQUIRED_PASSWORD",
    195: "IP_ADDRESS_NOT_ALLOWED",
    497: "ACCESS_DENIED",
    516: "AUTHENTICATION_FAILED",
}

_ROW_AT_FAULT = {
    6: "CANNOT_PARSE_TEXT",
    25: "CANNOT_PARSE_ESCAPE_SEQUENCE",
    26: "CANNOT_PARSE_QUOTED_STRING",
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
    33: "CANNOT_READ_ALL_DATA",
    38: "CANNOT_PARSE_DATE",
    41: "CANNOT_PARSE_DATETIME",
    53: "TYPE_MISMATCH",
    69: "ARGUMENT_OUT_OF_BOUND",
    70: "CANNOT_CONVERT_TYPE",
    72: "CANNOT_PARSE_NUMBER",
    117: "INCORRECT_DATA",
    131: "TOO_LARGE_STRING_SIZE",
    321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
    376: "CANNOT_PARSE_UUID",
    395: "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO",
    407: "DECIMAL_OVERFLOW",
    469: "VIOLATED_CONSTRAINT",
    675: "CANNOT_PARSE_IPV4",
    676: "CANNOT_PARSE_IPV6",
    691: "UNKNOWN_ELEMENT_OF_ENUM",
}

_ENGINE_AT_FAULT = {
    159: "TIMEOUT_EXCEEDED",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    203: "NO_FREE_CONNECTION",
    209: "SOCKET_TIMEOUT",
    210: "NETWORK_ERROR",
    225: "NO_ZOOKEEPER",
    236: "ABORTED",
    241: "MEMORY_LIMIT_EXCEEDED",
    242: "TABLE_IS_READ_ONLY",
    243: "NOT_ENOUGH_SPACE",
    252: "TOO_MANY_PARTS",
    285: "TOO_FEW_LIVE_REPLICAS",
    319: "UNKNOWN_STATUS_OF_INSERT",
    394: "QUERY_WAS_CANCELLED",
    425: "SYSTEM_ERROR",
    439: "CANNOT_SCHEDULE_TASK",
    473: "DEADLOCK_AVOIDED",
    999: "KEEPER_EXCEPTION",
    1001: "STD_EXCEPTION",
    1002: "UNKNOWN_EXCEPTION",
}

_CONNECTION = (
    driver.NetworkError,
    driver.SocketTimeoutError,
    driver.UnexpectedPacketFromServerError,
    driver.UnknownPacketFromServerError,
    driver.ChecksumDoesntMatchError,
    driver.PartiallyConsumedQueryError,
    EOFError,
    OSError,
)

# What the driver raises for values that do not fit a column, as measured; none has a parent of its own.
_ENCODING = (
    driver.Error,
    struct.error,
    DecimalException,
    TypeError,
    ValueError,
    AttributeError,
    LookupError,
    OverflowError,
)

_CODE = re.compile(r"^Code: \d+\.\s*")

DRIVER_ERRORS = (*_CONNECTION, *_ENCODING)
"""All that a call of the driver may raise."""


def of_insert(error: Exception, where: object) -> StoreError:
    """Return what an insert raises; `where` names the server."""
    if isinstance(error, driver.ServerException):
        if error.code in _ROW_AT_FAULT:
            return InsertRefused(message(error))
        if error.code in _NO_ACCESS or error.code in _STOP:
            return _misconfigured(error, where)
        return StoreUnavailable(f"ClickHouse at {where}: {_name(error)}: {message(error)}")
    if isinstance(error, _CONNECTION):
        return _unreachable(error, where)
    # The driver's message may repeat the value.
    return InsertRefused(f"a value does not fit its column ({type(error).__name__})")


def of_query(error: Exception, where: object) -> StoreError:
    """Return what a statement raises."""
    if isinstance(error, driver.ServerException):
        if error.code in _NO_ACCESS and error.code != 497:
            return _misconfigured(error, where)
        if error.code in _ENGINE_AT_FAULT:
            return StoreUnavailable(f"ClickHouse at {where}: {_name(error)}: {message(error)}")
        return QueryRefused(message(error))
    if isinstance(error, _CONNECTION):
        return _unreachable(error, where)
    return QueryRefused(f"the statement or a parameter cannot be sent: {error}")


def message(error: driver.ServerException) -> str:
    """Return the engine's sentence without the expression it was computing."""
    text = str(error.message).removeprefix("DB::Exception: ").partition(". Stack trace:")[0]
    return text.partition(": while executing")[0].strip()


def _misconfigured(error: driver.ServerException, where: object) -> StoreMisconfigured:
    hint = ""
    if error.code in {16, 60, 81}:
        hint = "; run `penstock migrate`"
    elif error.code in _NO_ACCESS:
        hint = "; check PENSTOCK_CLICKHOUSE_URL and the user's grants"
    return StoreMisconfigured(f"ClickHouse at {where}: {message(error)}{hint}")


def _unreachable(error: Exception, where: object) -> StoreUnavailable:
    lines = str(error).strip().splitlines()
    reason = _CODE.sub("", lines[-1]) if lines else "the connection was closed"
    if isinstance(error, (driver.SocketTimeoutError, TimeoutError)):
        reason = "nothing came in time"  # of which the driver tells the address only
    return StoreUnavailable(f"ClickHouse at {where} does not answer: {reason}")


def _name(error: driver.ServerException) -> str:
    return _ENGINE_AT_FAULT.get(error.code, f"error {error.code}")
