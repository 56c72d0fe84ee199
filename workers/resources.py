"""What the stages of a worker may use: opened once per process, given to each pipeline."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from schemas.settings import Settings
from stores.base import KeyStore, Warehouse
from stores.geo import Geo
from stores.keys import open_keys
from stores.registry import SqlRegistry, open_registry
from stores.warehouse import open_warehouse


@dataclass(frozen=True, slots=True)
class Resources:
    """All of them are open already; whoever opened them closes them."""

    settings: Settings
    warehouse: Warehouse
    registry: SqlRegistry
    keys: KeyStore
    geo: Geo


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Open what the settings name, and close it at the end. Raises SettingsError."""
    async with (
        open_warehouse(settings) as warehouse,
        open_registry(settings) as registry,
        open_keys(settings) as keys,
    ):
        with Geo(settings.geoip_db) as geo:
            yield Resources(settings=settings, warehouse=warehouse, registry=registry, keys=keys, geo=geo)
