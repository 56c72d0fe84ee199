"""`penstock migrate`: bring the warehouse and the registry to the newest schema."""

import asyncio

import click

from cli.options import with_settings
from schemas.settings import Settings


@click.command("migrate", short_help="Bring ClickHouse and the registry to the newest schema.")
@click.option("--demo", is_flag=True, help="Also make the demo tenant with its well-known credentials.")
@with_settings()
def command(settings: Settings, *, demo: bool) -> None:
    """Apply what is missing, in order. Safe to repeat; never goes backwards."""
    asyncio.run(_migrate(settings, demo=demo))


async def _migrate(settings: Settings, *, demo: bool) -> None:
    from stores.migrate import migrate
    from stores.migrations import migrate_registry
    from stores.registry import open_registry
    from stores.registry.demo import seed_demo
    from stores.warehouse import open_warehouse

    async with open_warehouse(settings) as warehouse:
        _tell("warehouse", await migrate(warehouse, cluster=settings.clickhouse_cluster))
    _tell("registry", await migrate_registry(settings))
    if demo:
        async with open_registry(settings) as registry:
            await seed_demo(registry)
        click.echo("demo credentials: there")


def _tell(store: str, applied: list[str]) -> None:
    click.echo(f"{store}: {', '.join(applied) or 'up to date'}")
