"""`penstock dev`: the whole system on this machine, on the embedded default. What `make run` starts."""

import click

from cli.options import with_settings
from schemas.settings import Settings


@click.command("dev", short_help="Run the whole system here, on the embedded default (make run).")
@click.option("--gateways", type=click.IntRange(1, 16), default=1, help="Gateway processes.")
@click.option("--workers", type=click.IntRange(1, 16), default=1, help="Workers of the pipeline `events`.")
@click.option("--follow-parent", is_flag=True, hidden=True, help="Stop when the calling process is gone.")
@with_settings()
def command(settings: Settings, *, gateways: int, workers: int, follow_parent: bool) -> None:
    """Run gateway, workers, api and ClickHouse under one supervisor, with demo credentials.

    Everything is kept in the directory --home. Ctrl-C stops all and loses nothing.
    """
    from cli.supervised import run_system
    from deploy.dev.embedded import plan

    run_system(
        settings,
        lambda run: plan(settings, run, gateways=gateways, workers=workers),
        follow_parent=follow_parent,
    )
