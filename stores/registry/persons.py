"""What the registry has of a person: for an operator who asks, for a profile's address."""

# ruff: noqa: S608 - tables and columns are our own constants; every value is a parameter
from collections.abc import Iterable, Sequence

from msgspec import Struct
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.persons import Identifier, Kind, Link, Pair, is_uuid, person_id
from stores.registry.database import Database
from stores.registry.person_links import LINK_COLUMNS, PAIR_COLUMNS, batch_of, link_of, on_batch, pair_of
from stores.registry.person_merges import canonical, seen_as

_LINKS = text(
    f"SELECT {LINK_COLUMNS} FROM person_links AS l WHERE l.tenant_id = :tenant_id AND l.kind = :kind "
    "AND l.value = :value AND l.unlinked_at IS NULL ORDER BY l.scope"
)
_SCOPES = text(
    "SELECT DISTINCT l.scope FROM person_links AS l WHERE l.tenant_id = :tenant_id AND l.kind = :kind "
    "AND l.value = :value ORDER BY l.scope"
)
_DEVICES = text(
    "SELECT DISTINCT p.scope FROM person_pairs AS p WHERE p.tenant_id = :tenant_id AND p.device = :value"
)
_LINKS_OF = on_batch(
    f"SELECT {LINK_COLUMNS} FROM {{batch}} JOIN person_links AS l ON l.person_id = c.person_id "
    "WHERE l.unlinked_at IS NULL ORDER BY l.linked_at, l.kind, l.value",
    ("person_id",),
)
_PAIRS_OF = on_batch(
    f"SELECT {PAIR_COLUMNS} FROM {{batch}} JOIN person_pairs AS p ON p.person_id = c.person_id "
    "ORDER BY p.linked_at, p.device, p.kind, p.value",
    ("person_id",),
)


class PersonRecord(Struct, frozen=True):
    """A person with all who turned out to be the same: `person_ids`, of which `canonical_id` stands for them.

    `links` hold; `pairs` have undone ones too.
    """

    canonical_id: str
    person_ids: Sequence[str]
    links: Sequence[Link]
    pairs: Sequence[Pair]


class Persons:
    """The part of the registry that is asked about persons. Every call raises StoreUnavailable."""

    _database: Database

    async def find_identifiers(self, tenant_id: int, kind: Kind, value: str) -> Sequence[Identifier]:
        """Return the tenant's identifiers of this kind and value, one a scope, that somebody has or had."""

        async def run(connection: AsyncConnection) -> Sequence[Identifier]:
            given = {"tenant_id": tenant_id, "kind": kind, "value": value}
            rows = await connection.execute(_DEVICES if kind == "device" else _SCOPES, given)
            return [Identifier(tenant_id, scope, kind, value) for (scope,) in rows]

        return await self._database.single(run)

    async def person_of(self, identifier: Identifier) -> str | None:
        """Return whose an identifier is; a device that was never linked is its own person's.

        A customer without an id of its own is found by the one it was given, its person id.
        """

        async def run(connection: AsyncConnection) -> str | None:
            if identifier.kind == "device":
                return await _person_of_device(connection, identifier)
            rows = await connection.execute(_LINKS, identifier._asdict())
            for link in map(link_of, rows):
                if link.identifier == identifier:
                    return link.person_id
            if identifier.kind == "id" and is_uuid(identifier.value):
                links = await _links_of(connection, [identifier.value])
                if any(link.identifier[:2] == identifier[:2] for link in links):
                    return identifier.value
            return None

        return await self._database.single(run)

    async def person_record(self, person: str) -> PersonRecord:
        """Return all that is known of a person; empty lists for one that is not known."""

        async def run(connection: AsyncConnection) -> PersonRecord:
            found = (await canonical(connection, [person])).get(person)
            canonical_id = person if found is None else found.canonical_id
            others = {other.person_id for other in await seen_as(connection, [canonical_id])}
            persons = sorted({canonical_id, *others})
            batch = batch_of([(each,) for each in persons])
            pairs = (await connection.execute(_PAIRS_OF[connection.dialect.name], batch)).all()
            return PersonRecord(
                canonical_id, persons, await _links_of(connection, persons), [*map(pair_of, pairs)]
            )

        return await self._database.single(run)


async def _links_of(connection: AsyncConnection, persons: Iterable[str]) -> list[Link]:
    batch = batch_of([(person,) for person in persons])
    return [link_of(row) for row in await connection.execute(_LINKS_OF[connection.dialect.name], batch)]


_PAIRS_OF_DEVICE = text(
    f"SELECT {PAIR_COLUMNS} FROM person_pairs AS p WHERE p.tenant_id = :tenant_id AND p.device = :value "
    "AND p.scope = :scope AND p.unlinked_at IS NULL AND p.person_id IS NOT NULL "
    "ORDER BY p.linked_at, CASE p.kind WHEN 'id' THEN 0 WHEN 'email' THEN 1 ELSE 2 END LIMIT 1"
)


async def _person_of_device(connection: AsyncConnection, device: Identifier) -> str:
    row = (await connection.execute(_PAIRS_OF_DEVICE, device._asdict())).first()
    linked = None if row is None else pair_of(row).person_id
    return linked or person_id(device)
