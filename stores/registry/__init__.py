"""Tenants and tokens, keys, persons, segments, filters, erasures: in SQLite (the default) or Postgres."""

from schemas.settings import Settings
from stores.registry.database import open_database
from stores.registry.deliveries import Delivery, Due, Ended, NewDelivery
from stores.registry.erasures import Erasure, ErasureUnderWay, LeaseLost
from stores.registry.errors import EntryRefused
from stores.registry.event_keys import KeyClaim, KeyOwner
from stores.registry.filters import Filter
from stores.registry.person_links import LinkTaken
from stores.registry.persons import PersonRecord
from stores.registry.products import Product
from stores.registry.registry import SqlRegistry
from stores.registry.segments import Segment
from stores.registry.suppressions import Suppression

__all__ = [
    "Delivery",
    "Due",
    "Ended",
    "EntryRefused",
    "Erasure",
    "ErasureUnderWay",
    "Filter",
    "KeyClaim",
    "KeyOwner",
    "LeaseLost",
    "LinkTaken",
    "NewDelivery",
    "PersonRecord",
    "Product",
    "Segment",
    "SqlRegistry",
    "Suppression",
    "open_registry",
]


def open_registry(settings: Settings) -> SqlRegistry:
    """Make the registry that `registry_url` names; use it as an async context manager.

    Its tables come from `stores.migrations.migrate_registry`. Raises SettingsError.
    """
    return SqlRegistry(open_database(settings))
