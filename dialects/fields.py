"""Field types that several protocols share.

The description completes the sentence "`field` must be …" of an error message, and stands in /openapi.json.
"""

from typing import Annotated

from msgspec import Meta, Raw, Struct

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

String = Annotated[str, Meta(description="a string")]
Text = Annotated[str, Meta(min_length=1, description="a non-empty string")]
Integer = Annotated[int, Meta(ge=INT64_MIN, le=INT64_MAX, description="an integer")]
Quantity = Annotated[int, Meta(ge=1, le=INT64_MAX, description="an integer of at least 1")]
Currency = Annotated[str, Meta(description="an ISO 4217 code in upper case, such as MXN")]

# Amounts stay the text that was sent: a float would lose digits, and msgspec's Decimal takes strings too.
Number = Annotated[Raw, Meta(description="a finite number", extra_json_schema={"type": "number"})]
Price = Annotated[
    Raw, Meta(description="a finite number of at least 0", extra_json_schema={"type": "number", "minimum": 0})
]


class AnyObject(Struct, frozen=True, gc=False):
    """An object whose members are free."""


Object = Annotated[AnyObject, Meta(description="an object")]
