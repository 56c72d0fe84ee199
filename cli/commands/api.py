"""`penstock api`: the HTTP API for tenants and operators, under /penstock/v1."""

import click

from cli.options import with_settings
from schemas.settings import Settings


@click.command("api", short_help="Serve the read API for tenants and operators.")
@with_settings()
def command(settings: Settings) -> None:
    """Serve /penstock/v1 on --host and --api-port, until SIGTERM."""
    from cli.process import run

    run(settings, _serve(settings))


async def _serve(settings: Settings) -> None:
    from bus import open_bus
    from cli.demo import refuse_public
    from cli.process import settle
    from console.app import create_admin, create_app
    from console.auditor import Auditor
    from console.erasure.eraser import Eraser
    from console.erasure.running import Erasing
    from console.guard import Guard
    from console.inflight import InFlight
    from console.server import serve
    from console.use import Use
    from gateway.server import bind
    from stores.keys import open_keys
    from stores.registry import open_registry
    from stores.warehouse import open_warehouse

    sock = bind(settings.host, settings.api_port or settings.port + 1)
    admin_sock = bind(settings.admin_host, settings.admin_port)
    async with (
        open_warehouse(settings) as warehouse,
        open_registry(settings) as registry,
        open_keys(settings) as keys,
        open_bus(settings) as bus,
    ):
        await refuse_public(settings, registry)
        auditor = Auditor(bus, warehouse, settings.bus_incarnation)
        guard, private = Guard(registry, keys), settings.webhook_private_addresses
        use = Use(warehouse, registry, guard, auditor, InFlight(bus), private)
        app, admin = create_app(use), create_admin(use)
        settle()
        erasing = Erasing(Eraser(bus, warehouse, registry), registry)
        async with auditor.running(), erasing.running():
            await serve(app, sock, admin=admin, admin_sock=admin_sock)
