"""Finds the system that runs on this machine by its directory of state."""

from pathlib import Path

from msgspec.structs import fields, replace

from cli.errors import CommandFailed
from deploy.dev.rundir import RunDirectory
from schemas.settings import PREFIX, Settings


def located(settings: Settings) -> Settings:
    """Return the settings with the stores of the running system, unless a ClickHouse is named.

    Raises CommandFailed when nothing runs there.
    """
    defaults = {field.name: field.default for field in fields(Settings)}
    if settings.clickhouse_url != defaults["clickhouse_url"]:
        return settings
    run = RunDirectory(Path(settings.home))
    urls = run.urls()
    if not urls or "supervisor" not in run.pids():
        raise CommandFailed(
            f"nothing runs in {run.home}. Start it with `make run`, name its directory with {PREFIX}HOME, "
            f"or name a ClickHouse with {PREFIX}CLICKHOUSE_URL"
        )
    found = {name: url for name, url in urls.items() if getattr(settings, name) == defaults[name]}
    return replace(settings, **found)
