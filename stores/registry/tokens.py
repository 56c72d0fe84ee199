"""Credentials: looked up by the hash of their secret, shown once, revoked for good."""

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.tenants import Scope, Token
from stores.registry import rules
from stores.registry.database import AnyRow, Database
from stores.registry.errors import EntryRefused
from stores.registry.tables import stores, tenants, tokens
from stores.registry.tenants import COLUMNS, now_ms, require_tenant, tenant_of
from stores.registry.upsert import insert_new

_TOKENS = select(
    tokens.c.key_id,
    tokens.c.dialect,
    tokens.c.scopes,
    tokens.c.client_ids,
    tokens.c.store,
    tokens.c.limits,
    tokens.c.expires_at,
    tokens.c.revoked_at,
    *COLUMNS,
).join_from(tokens, tenants)
_BY_SECRET = _TOKENS.add_columns(tokens.c.secret_sha256).where(
    tokens.c.secret_sha256.in_(bindparam("keys", expanding=True))
)
_OF_TENANT = _TOKENS.where(tokens.c.tenant_id == bindparam("tenant_id")).order_by(tokens.c.created_at)

_scopes = msgspec.json.Decoder(frozenset[Scope])
_client_ids = msgspec.json.Decoder(frozenset[int])
_limits = msgspec.json.Decoder(dict[str, int])


def secret_sha256(secret: str) -> bytes:
    """Return what is stored of a secret. It has high entropy, so a fast hash without salt is enough."""
    return hashlib.sha256(secret.encode()).digest()


def fresh_secret(dialect: str) -> str:
    """Return a secret of 256 random bits; the prefix lets scanners find one that leaked."""
    return f"pk_{dialect or 'api'}_{secrets.token_urlsafe(32)}"


class Tokens:
    """The part of the registry that holds credentials."""

    _database: Database

    async def find_tokens(self, secrets_sha256: Sequence[bytes]) -> Mapping[bytes, Token]:
        """Look credentials up; revoked and expired ones are found as such. Raises StoreUnavailable."""
        rows = await self._database.lookup_all(_BY_SECRET, secrets_sha256)
        return {row.secret_sha256: _token_of(row) for row in rows}

    async def token(self, secret_sha256: bytes) -> Token | None:
        """Look one credential up, as `find_tokens`."""
        return (await self.find_tokens([secret_sha256])).get(secret_sha256)

    async def list_tokens(self, tenant_id: int) -> Sequence[Token]:
        """Return the tenant's tokens, oldest first, revoked ones too."""
        return [_token_of(row) for row in await self._database.read(_OF_TENANT, {"tenant_id": tenant_id})]

    async def add_token(
        self,
        tenant_id: int,
        dialect: str,
        *,
        scopes: Iterable[str],
        client_ids: Iterable[int] = (),
        store: str = "",
        limits: Mapping[str, int] | None = None,
        expires_at: int | None = None,
        secret: str | None = None,
        key_id: str | None = None,
    ) -> tuple[Token, str]:
        """Enter a credential and return it with its secret, which is not stored and so shown only now.

        Adding one leaves the tenant's others as they are: while rotating, two are valid. A `secret` is
        given for demo credentials only. `expires_at` is in Unix ms. Raises EntryRefused.
        """
        if expires_at is not None and expires_at <= now_ms():
            raise EntryRefused("The expiry of a new token lies in the future.")
        ids = rules.grants(dialect, client_ids, store)
        values = {
            "key_id": rules.key_id(key_id or f"{dialect or 'api'}-{secrets.token_hex(6)}"),
            "tenant_id": tenant_id,
            "dialect": dialect,
            "scopes": _json(sorted(rules.scopes(scopes, dialect=dialect))),
            "client_ids": _json(sorted(ids)),
            "store": store,
            "limits": _json(rules.limits(limits or {})),
            "created_at": now_ms(),
            "expires_at": expires_at,
        }
        shown = secret or fresh_secret(dialect)
        values["secret_sha256"] = secret_sha256(shown)
        try:
            return await self._database.write(lambda connection: _insert(connection, values)), shown
        except IntegrityError:
            raise EntryRefused(f"The key id {values['key_id']!r} or the secret is in use.") from None

    async def revoke_token(self, key_id: str) -> None:
        """End a token for good; again is no error. Raises EntryRefused where there is none."""

        async def run(connection: AsyncConnection) -> None:
            statement = (
                update(tokens)
                .where(tokens.c.key_id == key_id)
                .values(revoked_at=func.coalesce(tokens.c.revoked_at, now_ms()))
            )
            if not (await connection.execute(statement)).rowcount:
                raise EntryRefused(f"There is no token with the key id {key_id!r}.")

        await self._database.write(run)


async def _insert(connection: AsyncConnection, values: Mapping[str, Any]) -> Token:
    tenant = await require_tenant(connection, values["tenant_id"])
    if values["store"]:
        await _claim_store(connection, values["store"], tenant.id)
    await connection.execute(insert(tokens).values(**values))
    statement = _TOKENS.where(tokens.c.key_id == values["key_id"])
    return _token_of((await connection.execute(statement)).one())


async def _claim_store(connection: AsyncConnection, store: str, tenant_id: int) -> None:
    """Give the store to the tenant, or see that it is the tenant's already."""
    await connection.execute(insert_new(connection, stores).values(store=store, tenant_id=tenant_id))
    owner = await connection.scalar(select(stores.c.tenant_id).where(stores.c.store == store))
    if owner != tenant_id:
        raise EntryRefused(f"The store {store!r} belongs to another tenant.")


def _token_of(row: AnyRow) -> Token:
    return Token(
        key_id=row.key_id,
        dialect=row.dialect,
        tenant=tenant_of(row),
        scopes=_scopes.decode(row.scopes),
        client_ids=_client_ids.decode(row.client_ids),
        store=row.store,
        limits=_limits.decode(row.limits),
        expires_at=row.expires_at,
        revoked=row.revoked_at is not None,
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
