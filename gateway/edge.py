"""The outermost layer: headers within bounds, an id on every answer, and no error without one."""

import logging
from collections.abc import Mapping
from time import perf_counter

from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import INTERNAL, RequestRefused
from gateway.histogram import Observations
from gateway.logs import RefusalLog
from gateway.metrics import Metrics
from gateway.request import Request

log = logging.getLogger("penstock.gateway")


class Edge:
    """Pure ASGI middleware around all routes of the public port.

    `direct` are the applications that answer at a path without parameters: found by one look, where a
    router tries one route after the other. `ends_at_length`: see Request.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        direct: Mapping[str, ASGIApp],
        ends_at_length: bool,
        metrics: Metrics,
        refusals: RefusalLog,
    ) -> None:
        self._app = app
        self._direct = direct
        self._ends_at_length = ends_at_length
        self._metrics = metrics
        self._refusals = refusals
        self._counted: dict[tuple[str, int], tuple[Counter, Observations]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; pass on everything that is none."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive, send, ends_at_length=self._ends_at_length)
        began = perf_counter()
        self._metrics.in_flight += 1
        try:
            await self._serve(request)
        finally:
            self._metrics.in_flight -= 1
            request.let_go()
            self._measure(request, perf_counter() - began)

    async def _serve(self, request: Request) -> None:
        try:
            request.check_headers()
            app = self._direct.get(request.scope["path"], self._app)
            await app(request.scope, request.receive, request.send)
        except RequestRefused as refused:
            self._metrics.refused.labels(request.endpoint, refused.reason.code).inc()
            self._refusals.write(refused, request)
            await self._refuse(request, refused)
        except Exception:  # whatever it was, the client gets an answer and we get a trace
            log.exception("request %s failed at %s", request.id, request.endpoint)
            self._metrics.refused.labels(request.endpoint, INTERNAL.code).inc()
            if not request.status:
                await self._refuse(request, INTERNAL.refuse())

    async def _refuse(self, request: Request, refused: RequestRefused) -> None:
        request.closes = request.closes or refused.reason.closes
        reply = request.words(refused.problem, request.body)
        if reply.status < 400:  # some dialects tell their callers that all is well, also after a bug
            self._metrics.swallowed.labels(request.endpoint, refused.reason.code).inc()
        headers = [(b"content-type", b"application/json")]
        headers += [
            (name.lower().encode(), value.encode()) for name, value in (*reply.headers, *refused.headers)
        ]
        await request.answer(reply.status, headers, reply.body)

    def _measure(self, request: Request, seconds: float) -> None:
        key = (request.endpoint, request.status)
        counted = self._counted.get(key)
        if counted is None:
            counter = self._metrics.requests.labels(request.endpoint, str(request.status))
            counted = self._counted[key] = (counter, self._metrics.seconds.of(request.endpoint))
        counted[0].inc()
        counted[1].observe(seconds)
        if log.isEnabledFor(logging.DEBUG):
            log.debug(
                "%s %s %d %.1f ms request=%s",
                request.method,
                request.path,
                request.status,
                seconds * 1000,
                request.id,
            )
