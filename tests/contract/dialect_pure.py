"""Runs an example on the dialect's declaration alone: no HTTP, no bus, no clock.

The little that a gateway adds is here in its plainest form, so that a dialect can be built before one.
"""

import re
from typing import Any

import msgspec
from msgspec import Raw

from dialects import discover
from dialects.base import Accepted, Auth, Endpoint, Problem, Receipt, Refused, Reply
from schemas.envelope import VERSION, Envelope, decode_envelope, encode
from schemas.tenants import Tenant, TenantSettings, Token
from tests.contract.dialect_examples import Example, Outcome, as_parts

RECEIVED_AT = 1_775_131_200_000  # 2026-04-02T12:00:00Z
TENANT = Tenant(1, "00000000-0000-4000-8000-000000000001", "mi-negocio", "Demo", True, TenantSettings())
PRODUCTS = frozenset({101, 102})
TOKENS = {
    ("relo", "dev-relo-token"): Token("relo_dev", "relo", TENANT, frozenset({"write"}), frozenset({3, 7})),
    ("alana", "ak_dev"): Token("alana_dev", "alana", TENANT, frozenset({"write"})),
    ("redo", "dev-redo-secret"): Token("redo_dev", "redo", TENANT, frozenset({"write"}), store="dev-store"),
}
FOUND_BY = {"id": {"1"}, "slug": {"mi-negocio"}, "any": {"1", "mi-negocio", TENANT.uuid}}


class Whole(Exception):
    """The request is refused as a whole."""

    def __init__(self, status: int, code: str, field: str = "", refusals: tuple[Refused, ...] = ()) -> None:
        super().__init__(code)
        self.problem = Problem(status, code, "Correct the request.", field, refusals=refusals)


def perform(example: Example) -> Outcome:
    """Run one example."""
    endpoint, params = route(example)
    run = _Run(example, endpoint, params)
    if example.problem is not None:
        return run.outcome(endpoint.refuse(msgspec.convert(example.problem, Problem), example.body))
    try:
        return run.outcome(run.answer())
    except Whole as refused:
        return run.outcome(endpoint.refuse(refused.problem, example.body))


def route(example: Example) -> tuple[Endpoint, dict[str, str]]:
    for endpoint in next(d for d in discover() if d.name == example.dialect).endpoints:
        found = re.fullmatch(endpoint.path.replace("{store}", "(?P<store>[^/]+)"), example.path)
        if found:
            return endpoint, found.groupdict()
    raise AssertionError(f"{example} names a path that its dialect does not declare")


class _Run:
    """One request on its way; what was accepted and rejected gathers here."""

    def __init__(self, example: Example, endpoint: Endpoint, params: dict[str, str]) -> None:
        self.example = example
        self.endpoint = endpoint
        self.params = params
        self.accepted: list[tuple[int, Raw, Accepted]] = []
        self.refused: list[tuple[int, Refused]] = []
        self.tenant = TENANT.id

    def answer(self) -> Reply:
        token = self._authenticate()
        kinds = ("application/json", "text/plain") if self.endpoint.browser else ("application/json",)
        if not self.example.headers["content-type"].startswith(kinds):
            raise Whole(415, "unsupported_media_type")
        for index, raw in enumerate(self._split()):
            judged = self.endpoint.validate(raw, token)
            if isinstance(judged, Accepted):
                self._look_up(judged)
                self.accepted.append((index, raw, judged))
            else:
                self.refused.append((index, judged))
        if self.refused and not self.endpoint.batch:
            raise Whole(400, "invalid_event", refusals=(self.refused[0][1],))
        receipt = Receipt(
            len(self.accepted),
            tuple(self.refused),
            self.example.body,
            self.example.query.get("verbose") == "1",
        )
        return self.endpoint.reply(receipt)

    def outcome(self, reply: Reply) -> Outcome:
        events = [self._event(index, raw, accepted) for index, raw, accepted in self.accepted]
        return Outcome(
            status=reply.status,
            body=reply.body,
            headers={name.lower(): value for name, value in reply.headers},
            envelopes=[envelope for envelope, _ in events],
            events=[event for _, event in events],
            rejected=[{"index": i, "code": r.code, "pointer": r.field} for i, r in self.refused],
        )

    def _authenticate(self) -> Token | None:
        headers, query = self.example.headers, self.example.query
        if self.endpoint.auth is Auth.PUBLIC:
            return None
        if self.endpoint.auth is Auth.API_KEY:
            secret = headers.get("x-api-key", query.get("key", ""))
        else:
            secret = headers.get("authorization", "").removeprefix("Bearer ")
        token = TOKENS.get((self.example.dialect, secret))
        if token is None:
            raise Whole(401, "unauthorized")
        if self.params.get("store", token.store) != token.store:
            raise Whole(403, "forbidden_store")
        return token

    def _split(self) -> list[Raw]:
        body, limits = self.example.body, self.endpoint.limits
        try:
            body.decode()
            msgspec.json.decode(body)
        except UnicodeDecodeError:
            raise Whole(400, "not_utf8") from None
        except msgspec.DecodeError:
            raise Whole(400, "invalid_json") from None
        if not self.endpoint.batch:
            return [msgspec.json.decode(body, type=Raw)]
        try:
            events = msgspec.json.decode(body, type=dict[str, Raw])["events"]
            listed = msgspec.json.decode(events, type=list[Raw])
        except (msgspec.ValidationError, KeyError):
            raise Whole(400, "events_required") from None
        if len(listed) < limits.events_min:
            raise Whole(400, "too_few_events")
        if len(listed) > limits.events_max:
            raise Whole(400, "too_many_events")
        return listed

    def _look_up(self, judged: Accepted) -> None:
        ref = judged.tenant
        if ref is not None and ref.value not in FOUND_BY[ref.by]:
            self._reject("tenant_not_found", 404)
        if judged.product_id is not None and judged.product_id not in PRODUCTS:
            self._reject("product_not_found", 422, "product_id")

    def _reject(self, code: str, status: int, field: str = "") -> None:
        self.refused.append((0, Refused(code, "Name another one.", field)))
        raise Whole(status, code, field)

    def _event(self, index: int, raw: Raw, accepted: Accepted) -> tuple[dict[str, Any], dict[str, Any]]:
        envelope = Envelope(
            v=VERSION,
            id=f"00000000-0000-7000-8000-{index:012d}",
            dialect=self.example.dialect,
            endpoint=self.endpoint.name,
            tenant=self.tenant,
            source=accepted.source,
            received_at=RECEIVED_AT,
            ip=accepted.ip or "127.0.0.1",
            ip_source="event" if accepted.ip else "connection",
            ua=accepted.ua,
            ua_source="event" if accepted.ua else "connection",
            request="example",
            index=index,
            of=len(self.accepted),
            flags=accepted.flags,
            event=raw,
        )
        # Over the wire and back, as a worker gets it.
        envelope = decode_envelope(encode(envelope))
        event = self.endpoint.to_event(envelope)
        assert event.raw == str(raw, "utf-8")
        assert accepted.subject in {event.subject, ""}
        return as_parts(envelope), as_parts(event)
