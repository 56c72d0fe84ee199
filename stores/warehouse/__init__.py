"""The warehouse: ClickHouse, embedded or real, through one adapter."""

from pathlib import Path

from schemas.settings import Settings, SettingsError
from stores.warehouse.adapter import ClickHouse
from stores.warehouse.address import Address

__all__ = ["Address", "ClickHouse", "open_warehouse"]


def open_warehouse(settings: Settings) -> ClickHouse:
    """Return the adapter, not yet connected: use it as an async context manager.

    Raises SettingsError for a URL that names no ClickHouse, and for a CA file that is not there.
    """
    if settings.clickhouse_ca and not Path(settings.clickhouse_ca).is_file():
        raise SettingsError(f"PENSTOCK_CLICKHOUSE_CA: there is no file {settings.clickhouse_ca}")
    return ClickHouse(Address.parse(settings.clickhouse_url, ca=settings.clickhouse_ca))
