"""The one way of every event into Penstock, whatever its dialect.

authenticate → limit → read the body → split it → judge each event → stamp → publish → reply.
A dialect declares (dialects/base.py); this path executes.
"""

import time
from collections import Counter
from dataclasses import dataclass

from msgspec.structs import replace
from starlette.types import Receive, Scope, Send

from dialects.base import Auth, Dialect, Endpoint, Receipt, Reply
from gateway.address import Addresses
from gateway.auth import Authenticator
from gateway.body import Bodies
from gateway.content import EVENT_TOO_LARGE as TOO_LARGE
from gateway.cors import Cors
from gateway.errors import (
    EVENT_TOO_LARGE,
    INCOMPLETE_BODY,
    INVALID_EVENT,
    METHOD_NOT_ALLOWED,
    ClientGone,
    Reason,
    RequestRefused,
)
from gateway.identity import event_ids, idempotency_key
from gateway.judge import Judged, judge
from gateway.limits import Limiter
from gateway.logs import RefusalLog
from gateway.metrics import Metrics
from gateway.publish import Publisher
from gateway.records import Stamp, accepted_records, rejected_records
from gateway.request import Request
from gateway.split import Splitter
from gateway.tenancy import Owner, Tenancy
from gateway.turns import Turn
from schemas.tenants import Token

ANSWER_S = 0.1
"""Of an endpoint's deadline this much is left for the answer, so that the whole keeps to it."""


@dataclass(frozen=True, slots=True)
class Use:
    """What all endpoints share."""

    addresses: Addresses
    authenticator: Authenticator
    bodies: Bodies
    cors: Cors
    limiter: Limiter
    metrics: Metrics
    publisher: Publisher
    refusals: RefusalLog
    tenancy: Tenancy
    uniform_status: bool


class Ingest:
    """One endpoint of one dialect, as a bare ASGI application: that answers twice as many requests."""

    def __init__(self, dialect: Dialect, endpoint: Endpoint, use: Use) -> None:
        self._dialect = dialect.name
        self._endpoint = endpoint
        self._use = use
        self._name = f"{dialect.name}.{endpoint.name}"
        self._public = endpoint.auth is Auth.PUBLIC
        # Who sends publicly stands in the body: what is counted per tenant waits until it was read.
        self._late_rates = tuple(r for r in endpoint.rates if self._public and "tenant" in r.per)
        self._rates = tuple(rate for rate in endpoint.rates if rate not in self._late_rates)
        self._splitter = Splitter(endpoint)
        self._reply = endpoint.reply
        if use.uniform_status and endpoint.uniform_reply is not None:
            self._reply = endpoint.uniform_reply
        self._accepted = use.metrics.accepted.labels(self._name)
        self._body_bytes = use.metrics.body_bytes.of(self._name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request.of(scope)
        request.endpoint, request.words = self._name, self._endpoint.refuse
        try:
            reply = await self._take(request)
        except RequestRefused as refused:
            reply = await self._refuse(request, refused)
        except ClientGone:
            self._use.metrics.gone.labels(self._name).inc()
            # It may have closed only its own side, and still be waiting.
            reply = await self._refuse(request, INCOMPLETE_BODY.refuse())
        await self._answer(request, reply)

    async def _take(self, request: Request) -> Reply:
        """Return the dialect's answer once all is durable. Raises RequestRefused and ClientGone."""
        use, endpoint = self._use, self._endpoint
        if request.method != "POST":
            return self._other_method(request)
        request.ip = use.addresses.of(request.connection, request.headers)
        token = await use.authenticator.admit(request, endpoint.auth, self._dialect)
        request.key = idempotency_key(request.headers) if endpoint.idempotency_key else None
        tenant = token.tenant if token else None
        request.left = await use.limiter.take(self._rates, ip=request.ip, token=token, tenant=tenant)
        with use.bodies.hold() as hold:
            turn = Turn()
            body = await use.bodies.read(
                request, hold, bytes_max=endpoint.limits.body_bytes_max, browser=endpoint.browser, turn=turn
            )
            self._body_bytes.observe(len(body))
            received = time.time()
            events = await self._splitter.split(body, turn)
            judged = await judge(endpoint, token, body, events, turn)
            judged, owner = await self._find_owner(request, judged, token)
            if not request.asks_for("dry_run"):
                await self._publish(request, judged, owner, received, turn)
        if not endpoint.batch and judged.refused:
            raise self._why(judged, owner)
        refused = tuple((index, why) for index, _, why in judged.refused)
        return self._reply(Receipt(len(judged.accepted), refused, body, request.asks_for("verbose")))

    async def _find_owner(
        self, request: Request, judged: Judged, token: Token | None
    ) -> tuple[Judged, Owner]:
        """Return whose events these are; an event of nobody, or of another's product, is refused by now."""
        if token is not None:
            return judged, Owner(token.tenant.id, store=token.store)
        if not judged.accepted:
            return judged, Owner(0)
        ((index, raw, told),) = judged.accepted
        owner = await self._use.tenancy.owner(told, self._late_rates, request.ip)
        request.left = owner.left or request.left
        if owner.refused is not None:
            return Judged([], [(index, raw, owner.refused)]), owner
        if owner.flags:
            self._use.metrics.unverified.labels(self._name).inc()
            told.flags = (*told.flags, *owner.flags)
        return judged, owner

    async def _publish(
        self, request: Request, judged: Judged, owner: Owner, received: float, turn: Turn
    ) -> None:
        """Make records of all events and have them durable. Raises RequestRefused."""
        stamp = Stamp(
            dialect=self._dialect,
            endpoint=self._endpoint.name,
            tenant=owner.tenant_id,
            request=request.id,
            received_at=int(received * 1000),
            sent_at=request.sent_at,
            ip=request.ip,
            ua=request.user_agent,
            store=owner.store,
            ids=await event_ids(
                self._endpoint.ids,
                dialect=self._dialect,
                tenant=owner.tenant_id,
                body=request.body,
                key=request.key,
                turn=turn,
            ),
        )
        accepted = await accepted_records(stamp, judged.accepted, turn)
        stored = judged.refused if await self._may_store(request, judged) else []
        rejected = await rejected_records(stamp, stored, self._endpoint.limits, turn)
        deadline_s = self._endpoint.deadline_s - ANSWER_S - (time.time() - received)
        await self._use.publisher.publish(accepted, rejected, deadline_s=max(deadline_s, ANSWER_S))
        self._count(judged)

    async def _may_store(self, request: Request, judged: Judged) -> bool:
        """Tell whether the rejected events are stored: not all of those that nobody answers for (rule 2)."""
        if not judged.refused or not self._public:
            return True
        may = await self._use.limiter.may_store_reject(request.ip)
        if not may:
            self._use.metrics.not_stored.labels(self._name).inc(len(judged.refused))
        return may

    def _count(self, judged: Judged) -> None:
        self._accepted.inc(len(judged.accepted))
        if judged.refused:
            for code, number in Counter(why.code for _, _, why in judged.refused).items():
                self._use.metrics.rejected.labels(self._name, code).inc(number)

    def _why(self, judged: Judged, owner: Owner) -> RequestRefused:
        """Word why the only event of a request was refused."""
        ((_, _, why),) = judged.refused
        reason: Reason = owner.reason or (EVENT_TOO_LARGE if why.code == TOO_LARGE else INVALID_EVENT)
        return reason.refuse(field=why.field, refusals=(why,))

    def _other_method(self, request: Request) -> Reply:
        """Answer a browser that asks first. Raises RequestRefused for every other method but POST."""
        allow = "POST, OPTIONS" if self._endpoint.browser else "POST"
        if request.method == "OPTIONS" and self._endpoint.browser:
            pairs = self._use.cors.preflight(request.headers)
            headers = tuple((name.decode(), value.decode("latin-1")) for name, value in pairs)
            return Reply(204, b"", (("Allow", allow), *headers))
        raise METHOD_NOT_ALLOWED.refuse(allow=allow, headers=(("Allow", allow),))

    async def _refuse(self, request: Request, refused: RequestRefused) -> Reply:
        """Word a refusal as the dialect does; some dialects tell their callers that all is well."""
        request.closes = request.closes or refused.reason.closes
        await request.read_rest()
        problem = refused.problem
        reply = self._endpoint.refuse(problem, request.body)
        self._use.metrics.refused.labels(self._name, problem.code).inc()
        if reply.status < 400:
            self._use.metrics.swallowed.labels(self._name, problem.code).inc()
        self._use.refusals.write(refused, request)
        if reply.status != problem.status:
            return reply
        return replace(reply, headers=(*reply.headers, *refused.headers))

    async def _answer(self, request: Request, reply: Reply) -> None:
        told = {name.lower().encode(): value.encode() for name, value in (*request.left, *reply.headers)}
        if reply.body:
            told[b"content-type"] = b"application/json"
        if request.asks_for("dry_run"):
            told[b"x-dry-run"] = b"1"
        headers = list(told.items())
        if self._endpoint.browser and request.method != "OPTIONS":
            headers += self._use.cors.headers(request.headers)
        await request.answer(reply.status, headers, reply.body)
