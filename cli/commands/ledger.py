"""`penstock ledger`: whether every record that came in is accounted for."""

import asyncio
import sys

import click

from cli.options import BUS, WAREHOUSE, with_settings
from schemas.settings import Settings


@click.command("ledger", short_help="Show that every record is accounted for; exit 1 if not.")
@with_settings(*BUS, *WAREHOUSE)
def command(settings: Settings) -> None:
    """Print one JSON object per partition; exit with 1 if a gap or an overlap is found.

    What does not balance is also said in a sentence, on stderr.
    """
    from cli.running import located

    sys.exit(asyncio.run(_print(located(settings))))


async def _print(settings: Settings) -> int:
    import msgspec

    from bus import open_bus
    from console.ledger import ledger
    from stores.warehouse import open_warehouse

    async with open_bus(settings) as bus, open_warehouse(settings) as warehouse:
        books = await ledger(bus, warehouse, settings.bus_incarnation)
    for line in books.lines:
        click.echo(msgspec.json.encode(line))
    for complaint in books.complaints():
        click.echo(f"penstock: {complaint}", err=True)
    return 0 if books.balanced else 1
