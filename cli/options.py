"""Settings as flags, made from the one typed place that declares them."""

import os
from collections.abc import Callable
from functools import wraps
from typing import Any, get_args, get_type_hints

import click
from msgspec.structs import FieldInfo, fields

from schemas.settings import Settings, about, load

Command = Callable[..., None]

REGISTRY = ("home", "registry_url")
WAREHOUSE = ("home", "clickhouse_url", "clickhouse_ca")
BUS = ("home", *(field.name for field in fields(Settings) if field.name.startswith(("bus_", "kafka_"))))
"""What the commands about one of the parts need."""


def with_settings(*names: str) -> Callable[[Command], Command]:
    """Give a command the settings as its first argument, and flags for `names` (none given: for all)."""
    chosen = [field for field in fields(Settings) if not names or field.name in names]

    def decorate(command: Command) -> Command:
        @wraps(command)
        def run(**arguments: Any) -> None:
            flags = {field.name: arguments.pop(field.name) for field in chosen}
            command(load(os.environ, flags), **arguments)

        decorated: Command = run
        for field in reversed(chosen):
            decorated = _option(field)(decorated)
        return decorated

    return decorate


def _option(field: FieldInfo) -> Callable[[Command], Command]:
    flag = flag_of(field.name)
    text = f"{about(field.name)}  [default: {default(field)}]"
    if is_switch(field.name):
        return click.option(f"{flag}/--no-{flag[2:]}", field.name, default=None, help=text)
    # The loader converts, so that flags and the environment take the same values.
    return click.option(flag, field.name, default=None, metavar="VALUE", help=text)


def flag_of(name: str) -> str:
    """Return the flag of a setting."""
    return "--" + name.replace("_", "-")


def default(field: FieldInfo) -> str:
    """Return a default as it is written in the environment."""
    if isinstance(field.default, bool):
        return str(int(field.default))
    return str(field.default) or "empty"


def is_switch(name: str) -> bool:
    """Tell whether a setting is on or off."""
    return get_args(get_type_hints(Settings, include_extras=True)[name])[0] is bool
