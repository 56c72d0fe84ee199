"""The command `penstock`: one file per command, in cli/commands. May enter every house."""

import sys
from collections.abc import Sequence

import click

from bus.base import BusError
from cli.errors import CommandFailed
from cli.group import Commands
from schemas.conditions import ConditionsInvalid
from schemas.settings import SettingsError
from stores.base import StoreError, StoreMisconfigured

MISUSED = 2
"""Exit status when only the operator can help: a wrong value, a wrong flag."""

FAILED = 1


@click.command(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
def penstock() -> None:
    """Event ingestion: HTTP in, a durable log in the middle, exactly one ClickHouse row out."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (by default this process's own) and exit.

    What an operator can mend is a sentence, never a stack trace.
    """
    try:
        penstock(arguments, prog_name="penstock")
    except (SettingsError, StoreMisconfigured) as error:
        _end(error, MISUSED)
    except (CommandFailed, ConditionsInvalid, StoreError, BusError) as error:
        _end(error, FAILED)


def _end(error: Exception, status: int) -> None:
    click.echo(f"penstock: {error}", err=True)
    sys.exit(status)
