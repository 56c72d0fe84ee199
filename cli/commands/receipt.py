"""`penstock receipt ID`: what became of each event of a request, whoever sent it."""

import asyncio

import click

from cli.errors import CommandFailed
from cli.options import BUS, WAREHOUSE, with_settings
from schemas.settings import Settings


@click.command("receipt", short_help="Tell what became of each event of a request.")
@click.argument("request_id")
@with_settings(*BUS, *WAREHOUSE)
def command(settings: Settings, *, request_id: str) -> None:
    """Print the receipt of the request with this X-Request-Id as JSON; every attempt is listed."""
    from cli.running import located

    asyncio.run(_print(located(settings), request_id))


async def _print(settings: Settings, request_id: str) -> None:
    from bus import open_bus
    from console.inflight import InFlight
    from console.receipts import receipt
    from console.rendering import encode
    from stores.warehouse import open_warehouse

    async with open_warehouse(settings) as warehouse, open_bus(settings) as bus:
        found = await receipt(warehouse, InFlight(bus), request_id, tenant_id=None)
    if found is None:
        raise CommandFailed(
            f"nothing is known of the request {request_id}: never accepted, or far back in the queue"
        )
    click.echo(encode(found))
