"""Serves the api and its admin port with Hypercorn until SIGTERM."""

import asyncio
import logging
import signal

from hypercorn.asyncio import serve as hypercorn
from hypercorn.config import Config
from starlette.applications import Starlette

from schemas.settings import Settings, SettingsError

log = logging.getLogger("penstock.api")


async def serve(app: Starlette, admin: Starlette, settings: Settings) -> None:
    """Return after a stop signal, when the requests under way are answered.

    Raises SettingsError for an address that cannot be bound.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    api_port = settings.api_port or settings.port + 1
    addresses = ((app, settings.host, api_port), (admin, settings.admin_host, settings.admin_port))
    try:
        async with asyncio.TaskGroup() as servers:
            for served, host, port in addresses:
                config = _config(host, port)
                servers.create_task(hypercorn(served, config, shutdown_trigger=stop.wait))  # type: ignore[arg-type]
    except* OSError as errors:
        raise SettingsError(f"cannot listen: {errors.exceptions[0]}") from None
    log.info("the api has stopped")


def _config(host: str, port: int) -> Config:
    config = Config()
    config.bind = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.keep_alive_timeout = 5
    return config
