"""`penstock topics create|check`: the topics in Kafka, with the settings that durability asks for."""

import asyncio

import click

from cli.errors import CommandFailed
from cli.options import BUS, with_settings
from schemas.settings import Settings


@click.group("topics", short_help="Make and check the topics in Kafka: create, check.")
def command() -> None:
    """Make and check the topics in Kafka. The embedded bus makes its own as they are used."""


@command.command("create")
@with_settings(*BUS)
def create(settings: Settings) -> None:
    """Make the topics that are missing. What exists is never changed."""
    from bus.kafka.topics import create_topics

    sentences = asyncio.run(create_topics(_kafka(settings)))
    for sentence in sentences or ["the topics are there, and as they should be"]:
        click.echo(sentence)


@command.command("check")
@with_settings(*BUS)
def check(settings: Settings) -> None:
    """Compare the topics with what Penstock needs; ends with status 1 when something differs."""
    from bus.kafka.topics import verify_topics

    differences = asyncio.run(verify_topics(_kafka(settings)))
    if differences:
        raise CommandFailed("; ".join(differences))
    click.echo("the topics are as they should be")


def _kafka(settings: Settings) -> Settings:
    """Return the settings of the Kafka that is meant: the running development system's, if none is named."""
    from cli.running import of_running

    settings = of_running(settings)
    if not settings.bus_url.startswith("kafka://"):
        raise CommandFailed("the bus is not Kafka: name it with PENSTOCK_BUS_URL=kafka://host:port")
    return settings
