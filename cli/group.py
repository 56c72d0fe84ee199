"""Finds the commands: a file in cli/commands is read when it is called, or listed."""

import importlib

import click

NAMES = (
    "dev",
    "stack",
    "gateway",
    "worker",
    "api",
    "migrate",
    "topics",
    "tenant",
    "token",
    "product",
    "person",
    "segment",
    "filter",
    "query",
    "receipt",
    "ledger",
    "quarantine",
    "routes",
    "stages",
    "settings",
)


class Commands(click.Group):
    """The commands in the order above, each from the file of its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in reading order."""
        return list(NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one command that is asked for."""
        if cmd_name not in NAMES:
            return None
        command: click.Command = importlib.import_module(f"cli.commands.{cmd_name}").command
        return command
