"""How an operator undoes a link: what follows from it is worked out anew, and it is never made again."""

# ruff: noqa: S608 - tables and columns are our own constants; every value is a parameter
from collections.abc import Sequence

from msgspec.structs import replace
from sqlalchemy import Update, insert, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.persons import Identifier, Link, Override, Pair, merges_of, person_id
from stores.registry import person_merges
from stores.registry.database import Database
from stores.registry.errors import EntryRefused
from stores.registry.person_links import LINK_COLUMNS, PAIR_COLUMNS, batch_of, link_of, on_batch, pair_of
from stores.registry.person_merges import next_version, unite
from stores.registry.tables import person_links, person_pairs
from stores.registry.tenants import now_ms

_EPOCH = text("SELECT coalesce(sum(epoch), 0) FROM person_epochs")
NEXT_EPOCH = text(
    "INSERT INTO person_epochs (tenant_id, epoch) VALUES (:tenant_id, 1) "
    "ON CONFLICT (tenant_id) DO UPDATE SET epoch = person_epochs.epoch + 1"
)
_LINK = text(
    f"SELECT {LINK_COLUMNS} FROM person_links AS l WHERE l.tenant_id = :tenant_id AND l.kind = :kind "
    "AND l.value = :value AND l.scope = :scope ORDER BY l.generation DESC LIMIT 1"
)
_PAIRS = text(
    f"SELECT {PAIR_COLUMNS} FROM person_pairs AS p WHERE p.tenant_id = :tenant_id AND p.kind = :kind "
    "AND p.value = :value AND p.scope = :scope"
)
_OVERRIDES = text(
    "SELECT tenant_id, CAST(person_id AS text), CAST(canonical_id AS text), version "
    "FROM person_overrides WHERE tenant_id = :tenant_id"
)
_PAIRS_OF_PERSONS = on_batch(
    f"SELECT {PAIR_COLUMNS} FROM {{batch}} JOIN person_pairs AS p ON p.person_id = c.person_id "
    "WHERE p.unlinked_at IS NULL",
    ("person_id",),
)


Undone = tuple[Pair, Sequence[Override]]


class PersonUnlinking:
    """The part of the registry that undoes links. Every call raises StoreUnavailable."""

    _database: Database

    async def person_epoch(self) -> int:
        """Return a number that has grown whenever a link was undone."""
        [[epoch]] = await self._database.read(_EPOCH)
        return int(epoch)

    async def unlink_identifier(self, identifier: Identifier) -> Link:
        """Part an identifier from its customer; the next event that gives it alone makes another one.

        One that was parted already is returned as it is, so that a caller can repeat what it does with
        it. Raises EntryRefused where it never belonged to anybody, or came with devices: then they are
        parted from it.
        """

        async def run(connection: AsyncConnection) -> Link:
            link = await _newest(connection, identifier)
            if link is None:
                raise EntryRefused("Nobody has this identifier.")
            if any(pair.unlinked_at is None for pair in await _pairs(connection, identifier)):
                raise EntryRefused("This identifier was seen with devices: name the one to part it from.")
            if link.unlinked_at is not None:
                return link
            await connection.execute(NEXT_EPOCH, {"tenant_id": identifier.tenant_id})
            return await _undo(connection, link)

        return await self._database.write(run)

    async def unlink_device(self, device: Identifier, seen_with: Identifier) -> Undone:
        """Part a device from an identifier, and return the overrides that changed, for the warehouse to have.

        Where the identifier had the device's own person, it gets one of its own. Of two that were parted
        already all overrides of the tenant are returned. Raises EntryRefused where they never met.
        """

        async def run(connection: AsyncConnection) -> Undone:
            await person_merges.alone(connection)
            pairs = await _pairs(connection, seen_with)
            pair = next((pair for pair in pairs if pair.device == device), None)
            if pair is None:
                raise EntryRefused("The device was never seen with this identifier.")
            if pair.unlinked_at is not None:
                rows = await connection.execute(_OVERRIDES, {"tenant_id": device.tenant_id})
                return pair, [Override(*row) for row in rows]
            pair = replace(pair, unlinked_at=now_ms())
            await connection.execute(_at(pair).values(unlinked_at=pair.unlinked_at))
            canonical_id, persons = await _component(connection, person_id(device))
            persons |= await _part(connection, pair, pairs)
            changed = await _work_out(connection, device.tenant_id, persons, canonical_id)
            await connection.execute(NEXT_EPOCH, {"tenant_id": device.tenant_id})
            return pair, changed

        return await self._database.write(run)


async def _newest(connection: AsyncConnection, identifier: Identifier) -> Link | None:
    row = (await connection.execute(_LINK, identifier._asdict())).first()
    return None if row is None else link_of(row)


async def _pairs(connection: AsyncConnection, seen_with: Identifier) -> list[Pair]:
    return [pair_of(row) for row in await connection.execute(_PAIRS, seen_with._asdict())]


async def _undo(connection: AsyncConnection, link: Link) -> Link:
    link = replace(link, unlinked_at=now_ms())
    key = {**link.identifier._asdict(), "generation": link.generation}
    statement = update(person_links).where(*(person_links.c[name] == value for name, value in key.items()))
    await connection.execute(statement.values(unlinked_at=link.unlinked_at))
    return link


def _at(pair: Pair) -> Update:
    key = {**pair.seen_with._asdict(), "device": pair.device.value}
    return update(person_pairs).where(*(person_pairs.c[name] == value for name, value in key.items()))


async def _part(connection: AsyncConnection, undone: Pair, pairs: Sequence[Pair]) -> set[str]:
    """Give the identifier a person of its own if it has the device's, and return that one."""
    own = person_id(undone.device)
    link = await _newest(connection, undone.seen_with)
    if link is None or link.unlinked_at is not None or link.person_id != own:
        return set()
    await _undo(connection, link)
    generation = link.generation + 1
    person = person_id(link.identifier, generation)
    await connection.execute(
        insert(person_links).values(
            **link.identifier._asdict(),
            generation=generation,
            person_id=person,
            reason="unlinked",
            event_id=undone.event_id,
            **{name: getattr(undone.at, name) for name in ("inc", "topic", "kp", "ko")},
            linked_at=undone.unlinked_at,
        )
    )
    for pair in pairs:
        if pair.device != undone.device and pair.person_id == own and pair.unlinked_at is None:
            await connection.execute(_at(pair).values(person_id=person))
    return {person}


async def _component(connection: AsyncConnection, own: str) -> tuple[str, set[str]]:
    """Return as what a person is seen, and all who are seen so."""
    found = (await person_merges.canonical(connection, [own])).get(own)
    canonical_id = own if found is None else found.canonical_id
    others = await person_merges.seen_as(connection, [canonical_id])
    return canonical_id, {canonical_id, *(other.person_id for other in others)}


async def _work_out(
    connection: AsyncConnection, tenant_id: int, persons: set[str], canonical_id: str
) -> list[Override]:
    """Write what these persons are seen as now, and return what changed. One keeps its `canonical_id`."""
    batch = batch_of([(person,) for person in sorted(persons)])
    rows = await connection.execute(_PAIRS_OF_PERSONS[connection.dialect.name], batch)
    merges = merges_of(pair_of(row) for row in rows)
    persons |= {person for merge in merges for person in (merge.person_id, merge.into)}
    into = unite(merges, {})
    kept = into.get(canonical_id, canonical_id)
    before = await person_merges.canonical(connection, persons)
    version = next_version(before.values())
    changed = []
    for person in sorted(persons):
        root = into.get(person, person)
        now = Override(tenant_id, person, canonical_id if root == kept else root, version)
        was = before.get(person)
        if now.canonical_id != (person if was is None else was.canonical_id):
            changed.append(now)
    await person_merges.put(connection, changed)
    return changed
