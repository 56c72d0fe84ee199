"""The queue between the gateway and the workers: Kafka, or SQLite on a laptop."""

from bus.base import Bus
from bus.log import open_log
from bus.memory import open_memory
from schemas.settings import Settings, SettingsError


def open_bus(settings: Settings) -> Bus:
    """Open the bus that `settings.bus_url` names. Raises SettingsError for a URL that names none."""
    scheme, colon, rest = settings.bus_url.partition(":")
    if scheme == "log" and colon:
        return open_log(settings, rest)
    if scheme == "memory" and colon and not rest:
        return open_memory(settings)
    if scheme == "kafka" and rest.startswith("//") and rest.strip("/"):
        from bus.kafka import open_kafka

        return open_kafka(settings)
    raise SettingsError(
        "PENSTOCK_BUS_URL takes log: (files under the home directory), log:DIRECTORY, "
        "kafka://HOST:PORT[,HOST:PORT], or memory: (one process, for tests)"
    )
