"""A whole gateway in the test's own process: on the bus in memory, with a registry that can be taken down."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from starlette.types import Message

from bus.memory import MemoryBus, MemoryLog
from dialects.base import Dialect
from gateway.app import create_app
from gateway.operations import Operations
from schemas.envelope import Envelope, Rejected, decode_envelope, decode_rejected
from schemas.settings import Settings
from schemas.tenants import Scope, Tenant, TenantRef, TenantSettings, Token
from schemas.topics import RAW, REJECTED
from stores.base import KeyStore, StoreUnavailable
from stores.keys import MemoryKeys
from stores.registry import demo
from stores.registry.tokens import secret_sha256

JSON = {"content-type": "application/json"}
RELO = {"authorization": f"Bearer {demo.RELO_SECRET}", **JSON}
REDO = {"authorization": f"Bearer {demo.REDO_SECRET}", **JSON}
ALANA = {"x-api-key": demo.ALANA_SECRET, **JSON}

BATCH = "/ingest/batch"
ALANA_EVENTS = "/api/v1/events"
REDO_EVENT = f"/v2.2/stores/{demo.REDO_STORE}/events"
REDO_BULK = f"/v2.2/stores/{demo.REDO_STORE}/events/bulk"
TRACK = "/api/v1/analytics/track"
CONVERSION = "/api/v1/analytics/conversion"
INTERACTIONS = "/api/v1/interactions"

INSTALL = {"t": "install", "ts": 1_710_244_800_000, "cid": 3, "did": "d-1"}

TENANT = Tenant(1, demo.TENANT_UUID, demo.TENANT_SLUG, "Demo", active=True, settings=TenantSettings())
CLOSED_TENANT = Tenant(2, "0" * 32, "closed", "Closed", active=False, settings=TenantSettings())


def token(
    dialect: str, *, tenant: Tenant = TENANT, scopes: Iterable[Scope] = ("write",), **more: Any
) -> Token:
    """Make a token; `more` are fields of Token."""
    return Token(f"key-{dialect}", dialect, tenant, frozenset(scopes), **more)


class MemoryRegistry:
    """Implements stores.base.Registry. A test changes what is in it, and sets `down`."""

    def __init__(self) -> None:
        self.tokens = {
            secret_sha256(demo.RELO_SECRET): token("relo", client_ids=frozenset(demo.RELO_CLIENT_IDS)),
            secret_sha256(demo.ALANA_SECRET): token("alana"),
            secret_sha256(demo.REDO_SECRET): token("redo", store=demo.REDO_STORE),
        }
        self.tenants = [TENANT, CLOSED_TENANT]
        self.down = False
        self.asked = 0

    def add(self, secret: str, added: Token) -> dict[str, str]:
        """Enter a token; return the headers that send it."""
        self.tokens[secret_sha256(secret)] = added
        return {"authorization": f"Bearer {secret}", **JSON}

    async def find_tokens(self, secrets_sha256: Sequence[bytes]) -> Mapping[bytes, Token]:
        self._ask()
        return {hashed: self.tokens[hashed] for hashed in secrets_sha256 if hashed in self.tokens}

    async def find_tenants(self, refs: Sequence[TenantRef]) -> Mapping[TenantRef, Tenant]:
        self._ask()
        by = {"id": ("id",), "slug": ("slug",), "any": ("id", "uuid", "slug")}
        return {
            ref: tenant
            for ref in refs
            for tenant in self.tenants
            if ref.value in {str(getattr(tenant, name)) for name in by[ref.by]}
        }

    async def find_products(
        self, pairs: Sequence[tuple[int, int]]
    ) -> Mapping[tuple[int, int], Literal[True]]:
        self._ask()
        return {
            (tenant_id, number): True
            for tenant_id, number in pairs
            if tenant_id == TENANT.id and number in demo.PRODUCTS
        }

    async def probe(self) -> None:
        self._ask()

    def _ask(self) -> None:
        self.asked += 1
        if self.down:
            raise StoreUnavailable("the registry was set down")


@dataclass(frozen=True)
class Answer:
    """What came back; `status` 0: nothing."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["code"])


class Rig:
    """A gateway and what it stands on."""

    def __init__(
        self, *, dialects: Sequence[Dialect] | None = None, keys: KeyStore | None = None, **settings: Any
    ) -> None:
        self.settings = Settings(**settings)
        self.bus = MemoryBus(MemoryLog(partitions=4, inc=1))
        self.registry = MemoryRegistry()
        self.keys = keys or MemoryKeys()
        self.app = create_app(self.settings, self.bus, self.registry, self.keys, dialects=dialects)
        self.operations: Operations = self.app.state.operations

    async def ask(
        self,
        path: str,
        body: object = b"",
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "POST",
        query: str = "",
        client: str = "203.0.113.9",
        pairs: Sequence[tuple[bytes, bytes]] = (),
        chunks: Sequence[bytes] | None = None,
        hangs_up: bool = False,
    ) -> Answer:
        """Send one request. A `body` that is no bytes goes as JSON; `chunks` go one by one instead."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        messages = [
            {"type": "http.request", "body": chunk, "more_body": True} for chunk in (chunks or [sent])
        ]
        end: Message = (
            {"type": "http.disconnect"} if hangs_up else {"type": "http.request", "more_body": False}
        )
        queue = iter([*messages, end])
        got: list[Message] = []

        async def receive() -> Message:
            await asyncio.sleep(0)
            message = next(queue, None)
            if message is None:
                await asyncio.Event().wait()
            assert message is not None
            return message

        async def send(message: Message) -> None:
            got.append(message)

        raw = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
        await self.app(
            {
                "type": "http",
                "http_version": "1.1",
                "method": method,
                "scheme": "http",
                "path": path,
                "raw_path": path.encode(),
                "root_path": "",
                "query_string": query.encode(),
                "headers": [(b"host", b"shop.example"), *raw, *pairs],
                "client": (client, 40_000),
                "server": ("127.0.0.1", 8080),
            },
            receive,
            send,
        )
        return _answer(got)

    @property
    def accepted(self) -> list[Envelope]:
        """All that was published to events.raw."""
        return sorted((decode_envelope(value) for value in self._values(RAW)), key=lambda e: e.index)

    @property
    def rejected(self) -> list[Rejected]:
        """All that was published to events.rejected."""
        return sorted((decode_rejected(value) for value in self._values(REJECTED)), key=lambda r: r.index)

    def _values(self, topic: str) -> list[bytes]:
        return [taken.value for log in self.bus.log.topic(topic) for taken in log]

    def measured(self, name: str, **labels: str) -> float:
        """Return a sample of the metrics, summed over the labels that are not given."""
        return sum(
            sample.value
            for family in self.operations.metrics.registry.collect()
            for sample in family.samples
            if sample.name == f"penstock_gateway_{name}" and labels.items() <= sample.labels.items()
        )


def _answer(got: Sequence[Message]) -> Answer:
    if not got:
        return Answer(0, {}, b"")
    start = got[0]
    headers = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    assert len(headers) == len(start["headers"]), "a header was sent twice"
    assert not got[-1].get("more_body", False), "the answer has no end"
    return Answer(start["status"], headers, b"".join(message.get("body", b"") for message in got[1:]))


def batch(*events: object) -> dict[str, object]:
    """Wrap events as batch routes take them."""
    return {"events": list(events)}
