"""The registry: the sum of its parts over one database."""

from typing import Self

from sqlalchemy import text

from stores.registry.database import Database
from stores.registry.deliveries import Deliveries
from stores.registry.delivery_records import DeliveryRecords
from stores.registry.erasures import Erasures
from stores.registry.event_keys import EventKeys
from stores.registry.filters import Filters
from stores.registry.person_links import PersonLinks
from stores.registry.person_merges import PersonMerges
from stores.registry.person_unlinking import PersonUnlinking
from stores.registry.persons import Persons
from stores.registry.products import Products
from stores.registry.segments import Segments
from stores.registry.suppressions import Suppressions
from stores.registry.tenants import Tenants
from stores.registry.tokens import Tokens
from stores.registry.undelivered import Undelivered

_PROBE = text("SELECT 1 FROM tenants LIMIT 1")


class SqlRegistry(
    Tenants,
    Tokens,
    Products,
    EventKeys,
    PersonLinks,
    PersonMerges,
    PersonUnlinking,
    Persons,
    Segments,
    Suppressions,
    Erasures,
    Filters,
    Deliveries,
    DeliveryRecords,
    Undelivered,
):
    """Implements stores.base.Registry and what the operator's commands and the workers need.

    Use as an async context manager. Entering it connects nothing, so that a process starts while the
    database is down. Every call raises StoreUnavailable while it is, within 2 s for what the gateway
    asks and 10 s for the rest; all but the gateway's raise StoreMisconfigured where no retry helps.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def probe(self) -> None:
        """Return if the database answers and has its tables, else raise StoreUnavailable."""
        await self._database.lookup(_PROBE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._database.close()
