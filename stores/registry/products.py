"""Products: which ids are a tenant's own, so that a public event cannot name another's."""

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct
from sqlalchemy import bindparam, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from stores.registry import rules
from stores.registry.database import Database
from stores.registry.errors import EntryRefused
from stores.registry.tables import products
from stores.registry.tenants import now_ms, require_tenant
from stores.registry.upsert import insert_new

_PAIRS = select(products.c.tenant_id, products.c.product_id).where(
    tuple_(products.c.tenant_id, products.c.product_id).in_(bindparam("keys", expanding=True))
)
_OF_TENANT = (
    select(products.c.product_id, products.c.name)
    .where(products.c.tenant_id == bindparam("tenant_id"))
    .order_by(products.c.product_id)
)


class Product(Struct, frozen=True):
    """One product of a tenant; `name` is for people and may be empty."""

    tenant_id: int
    product_id: int
    name: str = ""


class Products:
    """The part of the registry that holds products."""

    _database: Database

    async def find_products(
        self, pairs: Sequence[tuple[int, int]]
    ) -> Mapping[tuple[int, int], Literal[True]]:
        """Tell which pairs (tenant id, product id) are there. Raises StoreUnavailable."""
        possible = [pair for pair in pairs if all(map(_is_int64, pair))]
        rows = await self._database.lookup_all(_PAIRS, possible)
        return {(row.tenant_id, row.product_id): True for row in rows}

    async def has_product(self, tenant_id: int, product_id: int) -> bool:
        """Tell whether the product is one of the tenant's own, as `find_products`."""
        return bool(await self.find_products([(tenant_id, product_id)]))

    async def list_products(self, tenant_id: int) -> Sequence[Product]:
        """Return the tenant's products, by id."""
        rows = await self._database.read(_OF_TENANT, {"tenant_id": tenant_id})
        return [Product(tenant_id, row.product_id, row.name) for row in rows]

    async def add_product(self, tenant_id: int, product_id: int, name: str = "") -> None:
        """Enter a product; one that is there stays as it is. Raises EntryRefused."""
        if not _is_int64(product_id):
            raise EntryRefused("A product's id is a whole number of at most 64 bits.")
        values = {
            "tenant_id": tenant_id,
            "product_id": product_id,
            "name": rules.name(name) if name else "",
            "created_at": now_ms(),
        }

        async def run(connection: AsyncConnection) -> None:
            await require_tenant(connection, tenant_id)
            await connection.execute(insert_new(connection, products).values(**values))

        await self._database.write(run)

    async def remove_product(self, tenant_id: int, product_id: int) -> None:
        """Take a product out. Raises EntryRefused where there is none."""

        async def run(connection: AsyncConnection) -> None:
            statement = delete(products).where(
                products.c.tenant_id == tenant_id, products.c.product_id == product_id
            )
            if not (await connection.execute(statement)).rowcount:
                raise EntryRefused(f"Tenant {tenant_id} has no product {product_id}.")

        await self._database.write(run)


def _is_int64(number: int) -> bool:
    return -rules.INT64_MAX - 1 <= number <= rules.INT64_MAX
