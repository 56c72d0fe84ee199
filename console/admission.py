"""What today's gateway would say of a rejected event: the same rules, asked again."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import Raw, Struct
from msgspec.structs import replace

import dialects
from console.letters import Letter
from dialects.base import Accepted, Auth, Endpoint, Refused
from schemas.envelope import VERSION, Envelope
from schemas.tenants import Tenant, TenantRef, Token

_TRUNCATED = Refused("truncated", "The event was too large to be kept whole; only its beginning is left.")
_NO_ENDPOINT = Refused("unknown_endpoint", "No dialect here declares the endpoint it came in by.")
_NO_TOKEN = Refused("no_token", "The tenant has no live token that may write this dialect, or this store.")
_STORES = Refused("store_unknown", "The tenant has several stores, and the letter does not say which.")
_NO_TENANT = Refused("tenant_not_found", "There is no such active tenant.")
_NO_PRODUCT = Refused("product_not_found", "The product is not one of this tenant's.", "product_id")


class Registry(Protocol):
    """What is asked of the registry. Every call raises StoreUnavailable while it is down."""

    async def tenant(self, ref: TenantRef) -> Tenant | None:
        """Look a tenant up, active or not."""

    async def has_product(self, tenant_id: int, product_id: int) -> bool:
        """Tell whether the product is one of the tenant's own."""

    async def list_tokens(self, tenant_id: int) -> Sequence[Token]:
        """Return the tenant's tokens, oldest first, revoked ones too."""


class Rules(Struct, frozen=True):
    """The gateway's own rules, given by whoever may import it.

    `content` says why the content of an event is not taken, whatever its dialect; `keyed_id` makes the
    event id of (tenant, dialect, explicit dedup key).
    """

    content: Callable[[bytes], Refused | None]
    keyed_id: Callable[[int, str, str], Awaitable[str]]


class Admission:
    """Judges rejected events by today's rules, tokens, tenants and products."""

    def __init__(self, registry: Registry, rules: Rules) -> None:
        self._registry = registry
        self._rules = rules
        self._tokens: dict[int, Sequence[Token]] = {}

    async def judge(self, letter: Letter) -> Envelope | Refused:
        """Return the envelope that the gateway would publish now, or why it would not.

        Raises StoreUnavailable.
        """
        if letter.truncated:
            return _TRUNCATED
        endpoint = dialects.endpoint(letter.dialect, letter.endpoint)
        if endpoint is None:
            return _NO_ENDPOINT
        token = await self._token(endpoint, letter)
        if isinstance(token, Refused):
            return token
        raw = Raw(letter.raw.encode())
        told = self._rules.content(bytes(raw)) or endpoint.validate(raw, token)
        if isinstance(told, Refused):
            return told
        owner = await self._owner(token, told)
        if isinstance(owner, Refused):
            return owner
        return await self._envelope(letter, told, owner, raw)

    async def _token(self, endpoint: Endpoint, letter: Letter) -> Token | Refused | None:
        """Return the token that the sender would use: with all that the tenant's live ones grant."""
        if endpoint.auth is Auth.PUBLIC:
            return None
        live = [
            token
            for token in await self._tokens_of(letter.tenant_id)
            if token.dialect == letter.dialect and "write" in token.scopes and _is_valid(token)
        ]
        if letter.event_source:
            live = [token for token in live if token.store in ("", letter.event_source)]
        if not live:
            return _NO_TOKEN
        if len({token.store for token in live}) > 1:
            return _STORES
        return replace(live[0], client_ids=frozenset().union(*(token.client_ids for token in live)))

    async def _tokens_of(self, tenant_id: int) -> Sequence[Token]:
        if tenant_id not in self._tokens:
            self._tokens[tenant_id] = await self._registry.list_tokens(tenant_id)
        return self._tokens[tenant_id]

    async def _owner(self, token: Token | None, told: Accepted) -> int | Refused:
        """Return the number of the tenant whose event it is."""
        if token is not None:
            return token.tenant.id
        assert told.tenant is not None, "a public endpoint names its tenant"
        tenant = await self._registry.tenant(told.tenant)
        if tenant is None or not tenant.active:
            return _NO_TENANT
        if told.product_id is not None and not await self._registry.has_product(tenant.id, told.product_id):
            return _NO_PRODUCT
        return tenant.id

    async def _envelope(self, letter: Letter, told: Accepted, tenant_id: int, raw: Raw) -> Envelope:
        event_id = letter.event_id
        if told.dedup_key is not None:
            # Its key decides (rule 3): the producer may have sent a mended event with it meanwhile.
            event_id = await self._rules.keyed_id(tenant_id, letter.dialect, told.dedup_key)
        return Envelope(
            v=VERSION,
            id=event_id,
            dialect=letter.dialect,
            endpoint=letter.endpoint,
            tenant=tenant_id,
            source=told.source,
            received_at=letter.received_at,
            ip=told.ip or letter.ip,
            ip_source="event" if told.ip else "connection",
            ua=told.ua or letter.user_agent,
            ua_source="event" if told.ua else "connection",
            request=letter.request_id,
            index=letter.request_index,
            of=1,
            flags=told.flags,
            event=raw,
        )


def _is_valid(token: Token) -> bool:
    expired = token.expires_at is not None and token.expires_at <= time.time() * 1000
    return not token.revoked and not expired and token.tenant.active
