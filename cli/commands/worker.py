"""`penstock worker NAME`: one process of a pipeline, from the bus to ClickHouse."""

import click

from cli.options import with_settings
from schemas.settings import Settings


@click.command("worker", short_help="Run a pipeline: events, or quarantine.")
@click.argument("name")
@with_settings()
def command(settings: Settings, *, name: str) -> None:
    """Run one process of the pipeline NAME, until SIGTERM. Several share the partitions."""
    from cli.process import run
    from workers.run import run_worker

    run(settings, run_worker(name, settings))
