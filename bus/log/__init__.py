"""The embedded bus on SQLite: what runs when no Kafka is configured."""

from pathlib import Path

from bus.log.bus import LogBus
from schemas.settings import Settings


def open_log(settings: Settings, path: str = "") -> LogBus:
    """Open the log in the directory `path`, by default `bus` under the home directory."""
    return LogBus(Path(path) if path else Path(settings.home) / "bus", settings)
