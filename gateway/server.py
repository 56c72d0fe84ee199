"""Serves the gateway: Hypercorn by default, or another server; the admin port beside it; an orderly end."""

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hypercorn.protocol
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from starlette.applications import Starlette

from gateway.http1.server import Server
from gateway.logs import mask_everywhere
from gateway.malformed import protocol
from gateway.operations import Operations
from schemas.settings import Settings, SettingsError

BACKLOG = 1024
READ_ON_S = 2.0  # for which uploads may go on after a stop signal,
GRACE_S = 15.0  # and requests as a whole; a supervisor kills after 20 s

H11_BYTES_MAX = 64 * 1024
"""Of headers. They are refused from 16 KiB on, but in our words; from here on in Hypercorn's."""

log = logging.getLogger("penstock.gateway")


async def serve(
    app: Starlette, settings: Settings, *, sock: socket.socket | None = None, reuse_port: bool = False
) -> None:
    """Serve until SIGTERM or SIGINT; return when the requests under way are answered.

    `sock` is a bound socket to use instead of `host` and `port`; with `reuse_port` several processes may
    bind the same port, and the kernel spreads the connections. Raises SettingsError for an address that
    can't be bound.
    """
    operations: Operations = app.state.operations
    run = {"hypercorn": _run_hypercorn, "granian": _run_granian, "builtin": _run_builtin}[settings.server]
    public = sock or bind(settings.host, settings.port, reuse_port=reuse_port)
    admin = bind(settings.admin_host, settings.admin_port)
    mask_everywhere()
    # Hypercorn has no setting for it: this is the name by which it makes a connection's protocol.
    setattr(hypercorn.protocol, "H11Protocol", protocol(operations.metrics))  # noqa: B010
    log.info("listening on %s, admin on %s, with %s", _name(public), _name(admin), settings.server)
    public_ended = asyncio.Event()
    with _stop_signal() as stop:
        winding_down = asyncio.create_task(_wind_down(stop, operations))
        serving_admin = asyncio.create_task(_run_hypercorn(operations.admin(), admin, public_ended.wait))
        try:
            await run(app, public, stop.wait)
        finally:
            public_ended.set()
            winding_down.cancel()
            await serving_admin
    log.info("stopped")


async def _wind_down(stop: asyncio.Event, operations: Operations) -> None:
    """Say that no more should come; then end the uploads, so that they can still be answered."""
    await stop.wait()
    log.info("stopping")
    operations.health.stopping = True
    await asyncio.sleep(READ_ON_S)
    operations.bodies.stop()


async def _run_hypercorn(app: Starlette, sock: socket.socket, stopped: Callable[[], Awaitable[Any]]) -> None:
    config = Config()
    config.bind = [f"fd://{sock.detach()}"]
    config.backlog = BACKLOG
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.graceful_timeout = GRACE_S
    config.h11_max_incomplete_size = H11_BYTES_MAX
    config.h2_max_header_list_size = H11_BYTES_MAX
    await hypercorn_serve(app, config, shutdown_trigger=stopped)  # type: ignore[arg-type]


async def _run_builtin(app: Starlette, sock: socket.socket, stopped: Callable[[], Awaitable[Any]]) -> None:
    operations: Operations = app.state.operations
    server = Server(app, operations.metrics.malformed.inc)
    await server.serve(sock, stopped, backlog=BACKLOG, grace_s=GRACE_S)


async def _run_granian(app: Starlette, sock: socket.socket, stopped: Callable[[], Awaitable[Any]]) -> None:
    """Granian binds for itself, always with SO_REUSEPORT: ours has only found the port, and lets it go."""
    from granian.constants import Interfaces
    from granian.http import HTTP1Settings
    from granian.server import embed

    host, port = sock.getsockname()[:2]
    sock.close()
    server = embed.Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        websockets=False,
        backlog=BACKLOG,
        http1_settings=HTTP1Settings(header_read_timeout=5_000),
        log_dictconfig={"loggers": {"_granian": {"level": "INFO", "propagate": True}}, "handlers": {}},
    )
    serving = asyncio.create_task(server.serve())
    await asyncio.wait({serving, asyncio.ensure_future(stopped())}, return_when=asyncio.FIRST_COMPLETED)
    server.stop()  # type: ignore[no-untyped-call]
    await serving


def bind(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raises SettingsError."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind((host, port))
        sock.listen(BACKLOG)  # now: of two that only bind, the second would fail later and less clearly
    except OSError as error:
        sock.close()
        raise SettingsError(f"cannot listen on {host} port {port}: {error.strerror}") from None
    return sock


@contextmanager
def _stop_signal() -> Iterator[asyncio.Event]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _name(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
