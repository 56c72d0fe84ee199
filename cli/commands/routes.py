"""`penstock routes`: what the gateway answers to, read off the dialects' declarations."""

import click


@click.command("routes", short_help="List the gateway's routes, by dialect.")
def command() -> None:
    """List every route with its dialect, credential and rate limits."""
    for row in rows():
        click.echo(row)


def rows() -> list[str]:
    """Return one aligned line per route."""
    from dialects import discover

    table = [
        (
            "POST",
            endpoint.path,
            f"{dialect.name}.{endpoint.name}",
            endpoint.auth.value,
            "; ".join(
                f"{rate.requests} per {rate.period_s} s and {' + '.join(rate.per)}" for rate in endpoint.rates
            ),
        )
        for dialect in discover()
        for endpoint in dialect.endpoints
    ]
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]])
        for row in table
    ]
