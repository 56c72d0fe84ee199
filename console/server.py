"""Serves the api and its admin port with Hypercorn until SIGTERM."""

import asyncio
import logging
import signal
import socket

from hypercorn.asyncio import serve as hypercorn
from hypercorn.config import Config
from starlette.applications import Starlette

log = logging.getLogger("penstock.api")


async def serve(app: Starlette, sock: socket.socket, *, admin: Starlette, admin_sock: socket.socket) -> None:
    """Serve both on their bound sockets; return after a stop signal, when what is under way is answered."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    log.info("listening on %s:%d, admin on %s:%d", *sock.getsockname()[:2], *admin_sock.getsockname()[:2])
    async with asyncio.TaskGroup() as servers:
        for served, bound in ((app, sock), (admin, admin_sock)):
            servers.create_task(hypercorn(served, _config(bound), shutdown_trigger=stop.wait))  # type: ignore[arg-type]
    log.info("stopped")


def _config(sock: socket.socket) -> Config:
    config = Config()
    config.bind = [f"fd://{sock.detach()}"]
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    return config
