"""What a dialect may say of itself: data and pure functions. Control flow is the gateway's and the worker's.

Rules named "rule N" are those of docs/protocols.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import UnionType
from typing import Literal

from msgspec import Raw, Struct

from schemas.envelope import Envelope
from schemas.event import Event
from schemas.persons import Kind
from schemas.tenants import TenantRef, Token


class Auth(Enum):
    """Where the credential is."""

    BEARER = "Authorization: Bearer"
    API_KEY = "x-api-key header, else ?key="
    PUBLIC = "none; the body names the tenant"


class Ids(Enum):
    """What an event id is made of when no explicit dedup key is there (rule 3)."""

    BODY = "derived from the request's bytes: a byte-identical retry gets the same ids"
    FRESH = "new and time-ordered"


Per = Literal["token", "ip", "store", "tenant"]


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `requests` in `period_s` (GCRA: burst = requests), counted per combination of `per`.

    Endpoints that name the same `group` share its buckets. Where the tenant is known only from the
    body, a rate per tenant is taken after it; an unknown tenant's requests share one bucket per IP.
    """

    group: str
    requests: int
    period_s: int
    per: tuple[Per, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one request; bytes are counted after decompression."""

    body_bytes_max: int
    events_min: int = 1
    events_max: int = 1
    rejected_raw_bytes_max: int = 256 * 1024  # a rejected event is kept whole up to here,
    rejected_cut_bytes: int = 64 * 1024  # and up to here when it is larger


class Accepted(Struct, gc=False):
    """What the gateway needs to know of a valid event.

    `subject` orders events of one device or customer ("" = the event id). `dedup_key` is an explicit
    key, unique within the tenant. `ip` and `ua` are set where the event itself gave them. `tenant` and
    `product_id` are set by public endpoints: the gateway looks them up in the registry.
    """

    subject: str
    source: str = ""
    dedup_key: str | None = None
    ip: str = ""
    ua: str = ""
    flags: tuple[str, ...] = ()
    tenant: TenantRef | None = None
    product_id: int | None = None


class Refused(Struct, frozen=True, gc=False):
    """Why one event is not accepted. `message` says how to fix it and never repeats a value.

    `field` is the path from the event's root ("props.order_id"), "" for the event itself. `others` is
    what else is wrong, where a protocol lists all at once.
    """

    code: str
    message: str
    field: str = ""
    others: "tuple[Refused, ...]" = ()


class Problem(Struct, frozen=True):
    """Why a whole request is not accepted. `retry_after_s` is set with 429 and 503."""

    status: int
    code: str
    message: str
    field: str = ""
    retry_after_s: int | None = None
    refusals: tuple[Refused, ...] = ()  # of a single-event route


class Receipt(Struct, frozen=True, gc=False):
    """What became of a request that was taken: counts are exact, `refused` pairs (index, why) in order."""

    accepted: int
    refused: tuple[tuple[int, Refused], ...]
    body: bytes
    verbose: bool = False


class Reply(Struct, frozen=True, gc=False):
    """A dialect's answer: `body` is JSON, or empty."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """One documented answer of an endpoint, for /openapi.json."""

    status: int
    description: str
    body: type | None = None


class MappingError(Exception):
    """The worker cannot map an event that was accepted: it is dead, with `refused` as the reason."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.message)
        self.refused = refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One route. The functions are pure and fast: they run once per event or once per request.

    - `validate(raw, token)` judges one event's bytes (token is None on public endpoints).
    - `vouch(text, token)` is given several events, joined by commas, and returns what `validate` says of
      each if it accepts all of them, else None: then each is judged by itself. For haste only.
    - `to_event(envelope)` maps an accepted event in the worker; raises MappingError.
    - `reply(receipt)` words the answer to a request that was taken.
    - `refuse(problem, body)` words the answer to one that was not (`body` is what was read of it).
    """

    name: str
    path: str  # Starlette's syntax; `{store}` must equal the token's store
    auth: Auth
    limits: Limits
    rates: tuple[Rate, ...]
    wire: type | UnionType  # the event's struct, or one per event type: the validation and the OpenAPI schema
    batch: bool  # body {"events": [...]}, else the event itself
    ids: Ids = Ids.FRESH
    idempotency_key: bool = False  # the Idempotency-Key header is honoured
    browser: bool = False  # CORS, text/plain and absent content types
    deadline_s: float = 5.0  # for the bus to acknowledge
    validate: Callable[[Raw, Token | None], Accepted | Refused]
    vouch: Callable[[bytes, Token | None], Sequence[Accepted] | None] | None = None
    to_event: Callable[[Envelope], Event]
    reply: Callable[[Receipt], Reply]
    uniform_reply: Callable[[Receipt], Reply] | None = None  # instead, under tracker_uniform_status
    refuse: Callable[[Problem, bytes], Reply]
    answers: tuple[Answer, ...]
    summary: str

    def __post_init__(self) -> None:
        assert self.path.startswith("/")
        assert not self.path.endswith("/")
        assert self.batch or self.limits.events_max == 1
        assert (self.auth is Auth.PUBLIC) or all(rate.per for rate in self.rates)


@dataclass(frozen=True, slots=True)
class Dialect:
    """One protocol: its name, its routes, and what they have in common for the reader."""

    name: str
    title: str
    endpoints: tuple[Endpoint, ...]
    event_types: tuple[tuple[str, str], ...] = ()  # the producer's names and ours, for the documentation
    named_properties: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By event name, the properties that the protocol itself names: all that is kept without consent."""
    identifiers: Mapping[str, Kind] = field(default_factory=dict)
    """Where an event says who is behind it, as a path from its root (`customer.email`), and of which kind."""

    def __post_init__(self) -> None:
        names = [endpoint.name for endpoint in self.endpoints]
        assert len(set(names)) == len(names), f"{self.name} declares an endpoint twice"
