"""Every reason for which a whole request is refused, in one table, and how it is raised.

- RequestRefused: the request gets a Problem for an answer, in its dialect's words
- ClientGone: the client closed its side before its request was complete
"""

import logging
from dataclasses import dataclass

from dialects.base import Problem, Refused

Headers = tuple[tuple[str, str], ...]


class RequestRefused(Exception):
    """Carries what the client is told. `headers` go with the answer, `closes` ends the connection."""

    def __init__(self, reason: "Reason", problem: Problem, headers: Headers = ()) -> None:
        super().__init__(reason.code)
        self.reason = reason
        self.problem = problem
        self.headers = headers


class ClientGone(Exception):
    """The connection ended before the request did."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One way to be refused: what it is called, how bad it is, and what the client should do."""

    code: str
    status: int
    level: int
    message: str  # may name facts in braces, given to `refuse`
    closes: bool = False  # what is left of the request cannot be told from the next one
    wait_s: int | None = None  # Retry-After, where it is always the same

    def refuse(
        self,
        *,
        field: str = "",
        retry_after_s: int | None = None,
        refusals: tuple[Refused, ...] = (),
        headers: Headers = (),
        **facts: object,
    ) -> RequestRefused:
        """Make the exception to raise."""
        problem = Problem(
            status=self.status,
            code=self.code,
            message=self.message.format(**facts),
            field=field,
            retry_after_s=self.wait_s if retry_after_s is None else retry_after_s,
            refusals=refusals,
        )
        return RequestRefused(self, problem, headers)


INFO, WARNING, ERROR = logging.INFO, logging.WARNING, logging.ERROR

# --- the request line and the headers
NOT_FOUND = Reason("not_found", 404, INFO, "There is nothing at this path; /openapi.json lists what is here.")
NOT_HERE = Reason(
    "not_found", 404, INFO, "This path belongs to the api process, which listens on port {port}, not here."
)
METHOD_NOT_ALLOWED = Reason("method_not_allowed", 405, INFO, "This path takes {allow} only.")
HEADERS_TOO_LARGE = Reason(
    "headers_too_large",
    431,
    INFO,
    "A request may have {fields} header fields and {kib} KiB of headers; send fewer or shorter ones.",
    closes=True,
)
AMBIGUOUS_LENGTH = Reason(
    "ambiguous_length",
    400,
    WARNING,
    "A request may have Content-Length or Transfer-Encoding, not both.",
    closes=True,
)
INVALID_IDEMPOTENCY_KEY = Reason(
    "invalid_idempotency_key", 400, INFO, "An Idempotency-Key has 1 to {length} printable ASCII characters."
)

# --- who asks, and how often
UNAUTHORIZED = Reason("unauthorized", 401, INFO, "Send a valid credential: {how}.")
FORBIDDEN_STORE = Reason("forbidden_store", 403, INFO, "This token belongs to another store.")
FORBIDDEN_SCOPE = Reason("forbidden_scope", 403, INFO, "This token may not write events.")
RATE_LIMITED = Reason("rate_limited", 429, INFO, "Too many requests; try again in {wait} s.")

# --- the body as a whole
UNSUPPORTED_MEDIA_TYPE = Reason(
    "unsupported_media_type", 415, INFO, "Send JSON with the header Content-Type: application/json."
)
UNSUPPORTED_ENCODING = Reason(
    "unsupported_encoding", 415, INFO, "Use one Content-Encoding of identity, gzip, deflate, br and zstd."
)
INVALID_ENCODING = Reason("invalid_encoding", 400, INFO, "The body is not whole and valid {encoding} data.")
BODY_TOO_LARGE = Reason(
    "body_too_large", 413, INFO, "A body may have {limit} bytes, decompressed; send fewer events at once."
)
REQUEST_TIMEOUT = Reason(
    "request_timeout", 408, INFO, "The body came too slowly; send it again over a faster line.", closes=True
)
INCOMPLETE_BODY = Reason(
    "incomplete_body", 400, INFO, "The connection ended before the body did; send it again.", closes=True
)
NOT_UTF8 = Reason("not_utf8", 400, INFO, "The body is not UTF-8; encode it as UTF-8.")
INVALID_JSON = Reason("invalid_json", 400, INFO, "The body is not one JSON value: {error}.")
TOO_DEEP = Reason("too_deep", 400, INFO, "JSON may be nested {depth} levels deep; flatten the body.")
EVENTS_REQUIRED = Reason(
    "events_required", 400, INFO, 'The body must be an object with a list: {{"events": [...]}}.'
)
TOO_FEW_EVENTS = Reason("too_few_events", 400, INFO, "A request must have at least {limit} event(s).")
TOO_MANY_EVENTS = Reason(
    "too_many_events", 400, INFO, "A request may have {limit} events; split it into several."
)

# --- the one event of a single route, which is stored as a rejected event
INVALID_EVENT = Reason("invalid_event", 400, INFO, "The event is not valid.")
EVENT_TOO_LARGE = Reason("body_too_large", 413, INFO, "An event may have 262144 bytes; make it smaller.")
TENANT_NOT_FOUND = Reason("tenant_not_found", 404, INFO, "Tenant not found or not available.")
PRODUCT_NOT_FOUND = Reason(
    "product_not_found", 422, INFO, "The product is not one of this tenant's products."
)

# --- us
UNAVAILABLE = Reason(
    "unavailable", 503, WARNING, "The events could not be stored just now; send them again.", wait_s=2
)
BUSY = Reason(
    "unavailable", 503, WARNING, "Too much is in flight here just now; send the request again.", wait_s=1
)
STOPPING = Reason(
    "unavailable", 503, INFO, "This process is stopping; send the request again.", closes=True, wait_s=1
)
INTERNAL = Reason("internal", 500, ERROR, "Something failed here; the request's id finds it in the logs.")

REASONS: tuple[Reason, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Reason))
"""All of them, for the documentation and for the test that every one is raised somewhere."""
