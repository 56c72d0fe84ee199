"""`penstock settings`: every setting with its flag, default and meaning."""

import click


@click.command("settings", short_help="Print every setting: name, flag, default, meaning.")
def command() -> None:
    """Print docs/settings.md: every setting with its flag, its default and its meaning."""
    from cli.documents import settings_page

    click.echo(settings_page(), nl=False)
