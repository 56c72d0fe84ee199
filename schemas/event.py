"""The canonical event: what every dialect is mapped to, and what a row of `events` is made of.

A dialect fills the first half from the producer's words; the worker's stages fill the second.
"""

from typing import Literal, get_args

from msgspec import UNSET, Struct, UnsetType

from schemas.envelope import Origin
from schemas.pace import Pace
from schemas.tenants import TenantSettings
from schemas.topics import Coordinates

EventType = Literal[
    "page_viewed",
    "product_viewed",
    "product_added",
    "cart_viewed",
    "checkout_started",
    "order_completed",
    "products_searched",
    "product_list_viewed",
    "app_installed",
    "contact_clicked",
    "location_viewed",
    "content_shared",
    "custom",
]
"""One vocabulary over all dialects, so that one query works over all of them."""

EVENT_TYPES: tuple[str, ...] = get_args(EventType)

Clock = Literal["", "future", "late"]
"""`future`: the event time lay over 24 h ahead and was replaced; `late`: it is over 7 days old."""

CONSENT_ALL = 0xFF


class Event(Struct, kw_only=True, gc=False):
    """One event, mutable on its way through the stages. Times are integer Unix milliseconds.

    Texts that were not given are empty, not None. `value` is a plain decimal text of at most 6
    places ("24999.000000"), or None. `properties`, `extra` and `raw` are JSON texts, or empty.
    """

    # --- stamped by the gateway
    event_id: str
    tenant_id: int
    dialect: str
    source: str
    received_at: int
    sent_at: int | None
    request_id: str
    index: int = 0  # the event's place in its request,
    of: int = 1  # and how many of that request were accepted
    flags: list[str]
    # --- mapped by the dialect
    event_name: str
    event_type: EventType
    occurred_at: int
    subject: str
    user_id: str = ""
    anonymous_id: str = ""
    email: str = ""
    phone: str = ""
    url: str = ""
    referrer: str = ""
    ip: str = ""
    ip_source: Origin = "connection"
    user_agent: str = ""
    ua_source: Origin = "connection"
    value: str | None = None
    currency: str = ""
    order_id: str = ""
    product_ids: tuple[str, ...] = ()
    consent: int = CONSENT_ALL  # the mask as sent, where the event gave one,
    consent_given: bool = False  # else the stage puts the tenant's default there
    clock: Clock = ""
    properties: str = "{}"
    extra: str = ""
    raw: str = ""
    profile: dict[str, str] = {}  # what it adds to its person's profile: JSON texts by field
    # --- filled by the stages
    settings: TenantSettings = TenantSettings()  # of its tenant, by the first stage
    allowed: int = CONSENT_ALL  # what `consent` allows, in the bits of workers/consent.py
    country: str = ""
    city: str = ""
    browser: str = ""
    os: str = ""
    device_type: str = ""
    person_id: str | None = None
    pace: Pace | None = None  # of its device, where one may be known
    fraud_score: int | None = None
    fraud_reasons: tuple[str, ...] = ()
    matched: tuple[tuple[str, str], ...] = ()  # id and name of each automation filter that it meets
    # --- where it stands in the log, and which record it repeats
    at: Coordinates | UnsetType = UNSET
    replay_of: str | None = None
