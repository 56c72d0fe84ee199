"""The redo event as it is sent: one struct, whose `data` is free."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct, field

from dialects.fields import Currency, Number, Object, String

# The names of the fields are the producer's own.
# ruff: noqa: N815

Name = Annotated[str, Meta(min_length=1, max_length=256, description="a string of 1 to 256 characters")]
Moment = Annotated[
    datetime,
    Meta(tz=True, description="a date-time as RFC 3339 writes it, with a zone, in the years 1973 to 2199"),
]
Latitude = Annotated[float, Meta(ge=-90, le=90, description="a number from -90 to 90")]
Longitude = Annotated[float, Meta(ge=-180, le=180, description="a number from -180 to 180")]
Email = Annotated[str, Meta(description="an e-mail address")]
Phone = Annotated[str, Meta(description="a phone number in E.164: +, then 7 to 15 digits, the first not 0")]
Scalar = Annotated[
    str | int | float | bool | None, Meta(description="a string, a number, true, false or null")
]
CustomFields = Annotated[dict[str, Scalar], Meta(description="an object of scalars")]
Omitted = Literal[""] | None


class Location(Struct, frozen=True, gc=False):
    """Where a customer lives; null and "" count as not given."""

    street1: String | None = None
    street2: String | None = None
    city: String | None = None
    state: String | None = None
    stateCode: String | None = None
    postalCode: String | None = None
    country: String | None = None
    countryCode: String | None = None
    ianaTimeZoneName: String | None = None
    latitude: Latitude | Omitted = None
    longitude: Longitude | Omitted = None


class Customer(Struct, frozen=True):
    """Who did it: at least one of `id`, `email` and `phoneNumber`; null and "" count as not given."""

    id: String | None = None
    email: Email | None = None
    phoneNumber: Phone | None = None
    firstName: String | None = None
    lastName: String | None = None
    location: Annotated[Location, Meta(description="an object")] | Omitted = None
    customFields: CustomFields | Omitted = None


class Event(Struct, frozen=True):
    """Something a customer did; null counts as not given in what is optional."""

    eventName: Name
    customer: Annotated[Customer, Meta(description="an object with one of `id`, `email`, `phoneNumber`")]
    eventTimestamp: Moment | None = None
    value: Number = field(default_factory=Raw)
    valueCurrency: Currency | None = None
    uniqueId: Name | None = None
    data: Object | None = None


class Extra(Struct, frozen=True, gc=False):
    """Of `data`, what is kept byte for byte."""

    extra: Raw = field(name="$extra", default_factory=Raw)


class Sent(Struct, frozen=True, gc=False):
    """Of an event, its `data`."""

    data: Extra | None = None
