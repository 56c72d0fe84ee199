"""Which record owns an explicit dedup key: claimed by one statement a batch, and kept for good."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.topics import Coordinates
from stores.base import StoreUnavailable
from stores.registry.database import AnyRow, Database

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_ROUNDS_MAX = 3
"""A round is repeated when a claim was released by its owner between our two statements."""


class KeyClaim(Struct, frozen=True, gc=False):
    """The record at `at` asks for the key (tenant, event id); the id is a lower-case UUID made of the key.

    A replayed dead letter names the record that it repeats in `replay_of`, and takes its claim over.
    """

    tenant_id: int
    event_id: str
    at: Coordinates
    replay_of: Coordinates | None = None


class KeyOwner(Struct, frozen=True, gc=False):
    """Who has the key now. An event is a duplicate if and only if `at` is not its own place."""

    at: Coordinates
    first_event_id: str


# A batch travels as one JSON text, which either database reads as the table `c`; what follows is the same
# for both. Rows are taken in the order of their keys, so that two workers never wait for each other in a
# circle, and then in the order of the batch, so that the first event with a key wins. Only takeovers have
# the old coordinates: those of the record that they repeat.
_BATCH = {
    "sqlite": """(SELECT key AS place, json_extract(value, '$[0]') AS tenant_id,
        json_extract(value, '$[1]') AS event_id, json_extract(value, '$[2]') AS inc,
        json_extract(value, '$[3]') AS topic, json_extract(value, '$[4]') AS kp,
        json_extract(value, '$[5]') AS ko, json_extract(value, '$[6]') AS old_inc,
        json_extract(value, '$[7]') AS old_topic, json_extract(value, '$[8]') AS old_kp,
        json_extract(value, '$[9]') AS old_ko FROM json_each(:batch)) AS c""",
    "postgresql": """(SELECT place - 1 AS place, CAST(value->>0 AS bigint) AS tenant_id,
        CAST(value->>1 AS uuid) AS event_id, CAST(value->>2 AS integer) AS inc, value->>3 AS topic,
        CAST(value->>4 AS integer) AS kp, CAST(value->>5 AS bigint) AS ko,
        CAST(value->>6 AS integer) AS old_inc, value->>7 AS old_topic, CAST(value->>8 AS integer) AS old_kp,
        CAST(value->>9 AS bigint) AS old_ko
        FROM json_array_elements(CAST(:batch AS json)) WITH ORDINALITY AS b(value, place)) AS c""",
}


def _on_batch(sql: str) -> dict[str, TextClause]:
    return {dialect: text(sql.format(batch=batch)) for dialect, batch in _BATCH.items()}


_CLAIM = _on_batch("""
    INSERT INTO event_keys (tenant_id, event_id, inc, topic, kp, ko)
    SELECT tenant_id, event_id, inc, topic, kp, ko FROM {batch} WHERE true
    ORDER BY tenant_id, event_id, place
    ON CONFLICT (tenant_id, event_id) DO NOTHING""")
_OWNERS = _on_batch("""
    SELECT c.place, k.inc, k.topic, k.kp, k.ko FROM {batch}
    JOIN event_keys AS k ON k.tenant_id = c.tenant_id AND k.event_id = c.event_id
    ORDER BY c.place""")

_OWNED = """
    SELECT k.tenant_id, k.event_id FROM {batch} CROSS JOIN event_keys AS k
    WHERE k.tenant_id = c.tenant_id AND k.event_id = c.event_id
      AND k.inc = c.inc AND k.topic = c.topic AND k.kp = c.kp AND k.ko = c.ko"""
_RELEASE = {
    # CROSS: SQLite then looks each claim up by the primary key, and never reads the whole table.
    "sqlite": _on_batch(f"DELETE FROM event_keys WHERE (tenant_id, event_id) IN ({_OWNED})")["sqlite"],  # noqa: S608
    "postgresql": _on_batch(f"""
        DELETE FROM event_keys WHERE (tenant_id, event_id) IN ({_OWNED}
            ORDER BY k.tenant_id, k.event_id FOR UPDATE OF k)""")["postgresql"],  # noqa: S608 - our own text
}

_TAKING_OVER = """
    UPDATE event_keys AS k SET inc = c.inc, topic = c.topic, kp = c.kp, ko = c.ko FROM {taken}
    WHERE k.tenant_id = c.tenant_id AND k.event_id = c.event_id
      AND k.inc = c.old_inc AND k.topic = c.old_topic AND k.kp = c.old_kp AND k.ko = c.old_ko"""
_TAKE_OVER = {
    "sqlite": _on_batch(_TAKING_OVER.format(taken="{batch}"))["sqlite"],
    # Postgres updates in whatever order it finds the rows, so they are locked in ours before.
    "postgresql": _on_batch(
        _TAKING_OVER.format(
            taken="""(SELECT c.* FROM {batch} JOIN event_keys AS held
                ON held.tenant_id = c.tenant_id AND held.event_id = c.event_id
                ORDER BY c.tenant_id, c.event_id FOR UPDATE OF held) AS c"""
        )
    )["postgresql"],
}


class EventKeys:
    """The part of the registry that decides which event was first."""

    _database: Database

    async def claim_keys(self, claims: Sequence[KeyClaim]) -> Sequence[KeyOwner]:
        """Claim a batch (sized for 10,000) and return the owner of each key, in order.

        A claim of the same record again finds itself as the owner, so a replay after a crash decides as
        before. Raises StoreUnavailable (claim again), ValueError for an id that is no UUID.
        """
        if not claims:
            return []
        batch = _encode(claims)
        takeovers = _takeovers(claims)

        async def run(connection: AsyncConnection) -> Sequence[KeyOwner]:
            dialect = connection.dialect.name
            for part in takeovers:
                await connection.execute(_TAKE_OVER[dialect], part)
            for _ in range(_ROUNDS_MAX):
                await connection.execute(_CLAIM[dialect], batch)
                rows = (await connection.execute(_OWNERS[dialect], batch)).all()
                if len(rows) == len(claims):
                    return [_owner(claim, row) for claim, row in zip(claims, rows, strict=True)]
            raise StoreUnavailable("the claims of this batch are being released: claim again")

        # Every statement commits by itself: a worker that is frozen between two of them holds no lock.
        return await self._database.single(run)

    async def release_keys(self, claims: Iterable[KeyClaim]) -> None:
        """Give up those of the claims that their records own: these ended dead or dropped.

        Raises StoreUnavailable.
        """
        given = list(claims)
        if not given:
            return
        batch = _encode(given)

        async def run(connection: AsyncConnection) -> None:
            await connection.execute(_RELEASE[connection.dialect.name], batch)

        await self._database.single(run)


def _owner(claim: KeyClaim, row: AnyRow) -> KeyOwner:
    _place, inc, topic, kp, ko = row
    return KeyOwner(Coordinates(inc, topic, kp, ko), claim.event_id)


def _encode(claims: Iterable[KeyClaim]) -> dict[str, str]:
    rows = []
    for claim in claims:
        if not _UUID.fullmatch(claim.event_id):
            raise ValueError("the event id of a claim is a lower-case UUID")
        rows.append((claim.tenant_id, claim.event_id, *_place(claim.at)))
    return _as_batch(rows)


def _takeovers(claims: Iterable[KeyClaim]) -> list[dict[str, str]]:
    """Return the batches of the claims that repeat another record: one, unless a key is taken over twice.

    A statement changes a row once, so the second claim on a key waits for the next one.
    """
    parts: list[list[tuple[int | str, ...]]] = []
    seen: Counter[tuple[int, str]] = Counter()
    for claim in claims:
        if claim.replay_of is None:
            continue
        key = (claim.tenant_id, claim.event_id)
        if seen[key] == len(parts):
            parts.append([])
        parts[seen[key]].append((*key, *_place(claim.at), *_place(claim.replay_of)))
        seen[key] += 1
    return [_as_batch(part) for part in parts]


def _as_batch(rows: Sequence[tuple[int | str, ...]]) -> dict[str, str]:
    return {"batch": msgspec.json.encode(rows).decode()}


def _place(at: Coordinates) -> tuple[int, str, int, int]:
    return at.inc, at.topic, at.kp, at.ko
