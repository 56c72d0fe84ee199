"""`GET /health`, `/ready` and `/live` of the api: never limited, no token."""

import asyncio
import time
from collections.abc import Awaitable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from console.use import Use
from stores.base import StoreError

PATIENCE_S = 1.0


def routes(use: Use) -> list[Route]:
    """Declare the resources."""
    started = time.monotonic()

    async def health(request: Request) -> Response:
        warehouse, registry = await asyncio.gather(
            _state(use.warehouse.probe()), _state(use.registry.probe())
        )
        worst = "ok" if warehouse == registry == "ok" else "degraded"
        uptime_s = int(time.monotonic() - started)
        return JSONResponse(
            {"status": worst, "uptime_sec": uptime_s, "clickhouse": warehouse, "registry": registry}
        )

    async def ready(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def live(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return [Route("/health", health), Route("/ready", ready), Route("/live", live)]


async def _state(probe: Awaitable[None]) -> str:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await probe
    except (StoreError, TimeoutError):
        return "down"
    return "ok"
