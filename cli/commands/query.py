"""`penstock query SQL`: ask the warehouse, read-only."""

import asyncio
from typing import Any

import click

from cli.options import WAREHOUSE, with_settings
from schemas.settings import Settings


# What begins with a comment ("-- …") is no flag.
@click.command(
    "query",
    short_help="Ask the warehouse, read-only; one JSON object a line.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("sql")
@with_settings(*WAREHOUSE)
def command(settings: Settings, *, sql: str) -> None:
    """Run one SELECT and print a JSON object for each row.

    Asks the system that runs in --home (PENSTOCK_HOME), or the ClickHouse of --clickhouse-url.
    """
    from cli.running import located
    from console.rendering import encode

    if not sql.strip():
        raise click.BadParameter("it is empty", param_hint="SQL")
    for row in asyncio.run(_ask(located(settings), sql)):
        click.echo(encode(row))


async def _ask(settings: Settings, sql: str) -> list[dict[str, Any]]:
    from stores.warehouse import open_warehouse

    async with open_warehouse(settings) as warehouse:
        return await warehouse.query(sql)
