"""The three tracker events as they are sent."""

from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct, field

from dialects.fields import Integer, Object

TenantName = Annotated[
    str,
    Meta(
        min_length=1, max_length=255, description="a tenant's UUID, its numeric id as a string, or its slug"
    ),
]
TenantSlug = Annotated[str, Meta(min_length=1, max_length=255, description="a tenant's slug")]

TrackType = Literal[
    "whatsapp_click", "call", "location_view", "cart_add", "social_share", "conversion", "purchase"
]
InteractionType = Literal["view", "whatsapp_click", "call_click", "maps_click"]


class Track(Struct, frozen=True, gc=False):
    """Something a visitor did; null counts as not given in what is optional."""

    tenant_id: TenantName
    type: TrackType
    product_id: Integer | None = None
    metadata: Object | None = None


class Interaction(Struct, frozen=True, gc=False):
    """A view or a click; null counts as not given in what is optional."""

    tenant_id: Integer
    type: InteractionType
    product_id: Integer | None = None
    metadata: Object | None = None


class Conversion(Struct, frozen=True, gc=False):
    """A sale. What is optional may hold anything: the unusable is replaced by its default."""

    tenant_slug: TenantSlug
    transaction_id: Annotated[
        Raw, Meta(description="a string or an integer", extra_json_schema={"type": ["string", "integer"]})
    ] = field(default_factory=Raw)
    value: Annotated[
        Raw, Meta(description="a number; else 0.0", extra_json_schema={"type": "number", "default": 0.0})
    ] = field(default_factory=Raw)
    currency: Annotated[
        Raw,
        Meta(
            description="an ISO 4217 code; else HNL", extra_json_schema={"type": "string", "default": "HNL"}
        ),
    ] = field(default_factory=Raw)
    event: Annotated[
        Raw,
        Meta(
            description="a string of 1 to 64 characters; else purchase",
            extra_json_schema={"type": "string", "minLength": 1, "maxLength": 64, "default": "purchase"},
        ),
    ] = field(default_factory=Raw)
    timestamp: Annotated[
        Raw,
        Meta(
            description="a date or date-time as ISO 8601 writes it (no zone: UTC); else the time of receipt",
            extra_json_schema={"type": "string"},
        ),
    ] = field(default_factory=Raw)


class Metadata(Struct, frozen=True, gc=False):
    """Of a tracked event, what goes into its properties."""

    metadata: Raw = field(default_factory=Raw)


class Transaction(Struct, frozen=True, gc=False):
    """Of a conversion, what is echoed."""

    transaction_id: Raw = field(default_factory=Raw)
