"""`penstock stack`: the production shape on this machine, on real servers. What `make stack` starts."""

import click

from cli.options import with_settings
from schemas.settings import Settings

PROXIED = ("kafka", "postgres", "redis", "clickhouse")


@click.command("stack", short_help="Run the production shape here: Kafka, Postgres, Redis (make stack).")
@click.option("--gateways", type=click.IntRange(1, 16), default=1, help="Gateway processes.")
@click.option("--workers", type=click.IntRange(1, 16), default=2, help="Workers of the pipeline `events`.")
@click.option(
    "--proxy",
    "proxies",
    type=(click.Choice(PROXIED), click.IntRange(1, 65535)),
    multiple=True,
    help="Reach a store through this loopback port, where you listen and pass on (make chaos).",
)
@click.option("--follow-parent", is_flag=True, hidden=True, help="Stop when the calling process is gone.")
@with_settings()
def command(
    settings: Settings,
    *,
    gateways: int,
    workers: int,
    proxies: tuple[tuple[str, int], ...],
    follow_parent: bool,
) -> None:
    """Run Kafka, Postgres, Redis, ClickHouse, gateway, workers and api, with demo credentials.

    The servers come from `make tools`; the network is not used. Ctrl-C stops all and loses nothing.
    """
    from cli.supervised import run_system
    from deploy.dev.stack import plan

    run_system(
        settings,
        lambda run: plan(settings, run, gateways=gateways, workers=workers, proxies=dict(proxies)),
        follow_parent=follow_parent,
    )
