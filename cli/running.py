"""Finds the system that runs on this machine by its directory of state."""

from pathlib import Path

from msgspec.structs import fields, replace

from cli.errors import CommandFailed
from deploy.dev.rundir import RunDirectory
from schemas.settings import PREFIX, Settings


def located(settings: Settings) -> Settings:
    """Return the settings with the ClickHouse of the running system, unless another one is named.

    Raises CommandFailed when nothing runs there.
    """
    default = next(field.default for field in fields(Settings) if field.name == "clickhouse_url")
    if settings.clickhouse_url != default:
        return settings
    run = RunDirectory(Path(settings.home))
    ports = run.ports()
    if ports is None or "supervisor" not in run.pids():
        raise CommandFailed(
            f"nothing runs in {run.home}. Start it with `make run`, name its directory with {PREFIX}HOME, "
            f"or name a ClickHouse with {PREFIX}CLICKHOUSE_URL"
        )
    return replace(settings, clickhouse_url=ports.clickhouse_url)
