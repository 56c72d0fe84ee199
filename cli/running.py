"""Finds the system that runs on this machine by its directory of state."""

from pathlib import Path

from msgspec.structs import fields, replace

from cli.errors import CommandFailed
from deploy.dev.rundir import RunDirectory
from schemas.settings import PREFIX, Settings

_DEFAULTS = {field.name: field.default for field in fields(Settings)}


def located(settings: Settings) -> Settings:
    """Return the settings with the stores of the running system, unless a ClickHouse is named.

    Raises CommandFailed when nothing runs there.
    """
    found = of_running(settings)
    if found.clickhouse_url == _DEFAULTS["clickhouse_url"]:
        raise CommandFailed(
            f"nothing runs in {Path(settings.home).absolute()}. Start it with `make run`, name its directory "
            f"with {PREFIX}HOME, or name a ClickHouse with {PREFIX}CLICKHOUSE_URL"
        )
    return found


def of_running(settings: Settings) -> Settings:
    """Return the settings with the stores of the system that runs in their home, where none is named."""
    run = RunDirectory(Path(settings.home))
    urls = run.urls()
    if settings.clickhouse_url != _DEFAULTS["clickhouse_url"] or "supervisor" not in run.pids():
        return settings
    found = {name: url for name, url in urls.items() if getattr(settings, name) == _DEFAULTS[name]}
    return replace(settings, **found)
