"""The operator's side of a worker, on its admin port: metrics, health, and the lifting of breakers."""

import asyncio
import logging
import socket
from collections.abc import Sequence
from typing import Protocol

import msgspec
from hypercorn.asyncio import serve
from hypercorn.config import Config
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas.settings import Settings, SettingsError
from schemas.topics import Partition


class Breakers(Protocol):
    """What rests, and how it goes on."""

    def resting(self) -> Sequence[object]: ...

    def lift(self) -> Sequence[object]: ...


class Member(Protocol):
    """This process's place in the group of one topic."""

    @property
    def joined(self) -> bool: ...

    @property
    def breakers(self) -> Breakers: ...

    def owned(self) -> Sequence[Partition]: ...


def app(pipeline: str, members: Sequence[Member], stop: asyncio.Event) -> Starlette:
    """Build the routes. `members` are this process's places in the groups of the pipeline's topics."""

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    async def live(request: Request) -> Response:
        return _json({"status": "live"})

    async def ready(request: Request) -> Response:
        if stop.is_set():
            return _json({"status": "not ready", "code": "not_ready", "message": "stopping"}, 503)
        if not all(member.joined for member in members):
            message = "not a member of the consumer group yet: the bus does not answer"
            return _json({"status": "not ready", "code": "not_ready", "message": message}, 503)
        return _json({"status": "ready"})

    async def health(request: Request) -> Response:
        resting = [str(partition) for member in members for partition in member.breakers.resting()]
        joined = all(member.joined for member in members)
        return _json(
            {
                "status": "ok" if joined and not resting else "degraded",
                "pipeline": pipeline,
                "partitions": sorted(str(p) for member in members for p in member.owned()),
                "resting": resting,
            }
        )

    async def resume(request: Request) -> Response:
        return _json({"resumed": [str(p) for member in members for p in member.breakers.lift()]})

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/live", live),
            Route("/ready", ready),
            Route("/health", health),
            Route("/resume", resume, methods=["POST"]),
        ]
    )


async def serve_admin(routes: Starlette, sock: socket.socket, ended: asyncio.Event) -> None:
    """Serve on a bound socket until `ended`."""
    config = Config()
    config.bind = [f"fd://{sock.detach()}"]
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.graceful_timeout = 1.0
    await serve(routes, config, shutdown_trigger=ended.wait)  # type: ignore[arg-type]


def bind(settings: Settings) -> socket.socket:
    """Return the bound socket of the admin port; port 0 takes a free one. Raises SettingsError."""
    host, port = settings.admin_host, settings.admin_port
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise SettingsError(f"cannot listen on {host} port {port}: {error.strerror}") from None
    return sock


def _json(body: object, status: int = 200) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")
