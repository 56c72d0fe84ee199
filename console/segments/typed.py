"""How values stand in the column `properties_typed` of `events`, and how to find one there.

A value is a text that tells its type: a number as it was written, `true` or `false`, `s` and a string, `d`
and a date as Unix ms. A value that is not there is an empty text.
"""

import zlib

from console.segments.binding import Binding

BUCKETS = tuple(f"properties_typed.b{number}" for number in range(16))
"""One map each: a property lies in the one that CRC32 of its name chooses."""

# The same as schemas/ddl/007_segments.sql says for properties: a test compares the two.
_TYPED = r"""arrayMap(raw -> multiIf(
    substring(raw, 1, 1) IN ('', '{', '[', 'n'), '',
    substring(raw, 1, 1) != '"', raw,
    position(raw, '\\') > 0, concat('s', JSONExtractString(raw)),
    length(raw) >= 22 AND match(raw, concat(
        '^"(19|2[0-2])[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt ]',
        '([01][0-9]|2[0-3])(:[0-5][0-9]){2}([.][0-9]{1,9})?',
        '([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"$')),
        ifNull(
            concat('d', toString(toUnixTimestamp64Milli(parseDateTime64BestEffortOrNull(
                upper(substring(raw, 2, length(raw) - 2)), 3, 'UTC')))),
            concat('s', substring(raw, 2, length(raw) - 2))),
    concat('s', substring(raw, 2, length(raw) - 2))), """


def of_property(name: str, bind: Binding) -> str:
    """Return the SQL of a property's value."""
    return f"{BUCKETS[zlib.crc32(name.encode()) % len(BUCKETS)]}[{bind(name)}]"


def of_member(column: str, name: str, bind: Binding) -> str:
    """Return the SQL of the value of a member of a JSON object; `column` is our own text."""
    return f"{_TYPED}[JSONExtractRaw({column}, {bind(name)})])[1]"
