"""The warehouse: ClickHouse, embedded or real, through one adapter."""

from schemas.settings import Settings
from stores.warehouse.adapter import ClickHouse
from stores.warehouse.address import Address

__all__ = ["Address", "ClickHouse", "open_warehouse"]


def open_warehouse(settings: Settings) -> ClickHouse:
    """Return the adapter, not yet connected: use it as an async context manager.

    Raises SettingsError for a URL that names no ClickHouse.
    """
    return ClickHouse(Address.parse(settings.clickhouse_url, ca=settings.clickhouse_ca))
