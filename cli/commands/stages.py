"""`penstock stages`: the visible list of what a worker does with an event."""

import click


@click.command("stages", short_help="List the stages of each pipeline, in order.")
def command() -> None:
    """List every pipeline with what it reads, its stages in order, and where it writes."""
    from workers.pipelines import describe

    for line in describe():
        click.echo(line)
