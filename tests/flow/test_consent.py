"""Consent from the log to the stored row: no value that is withheld stands in any column of any table."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from bus.base import Record
from bus.memory import MemoryBus, MemoryLog
from console import receipts
from console.inflight import InFlight
from dialects import discover
from dialects.base import Accepted
from schemas.envelope import Envelope, encode
from schemas.settings import Settings
from schemas.tenants import TenantSettings, Token
from schemas.topics import RAW
from stores.base import Warehouse
from stores.migrations import migrate_registry
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.unit.stores.mmdb import write_mmdb
from tests.unit.workers.running import System, make_worker
from workers.pipelines.events import events_pipeline
from workers.resources import Resources, open_resources

DATABASE = "consent"
DEVICE = "device-1"
IP = "189.203.1.77"
UA = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Mobile/15E148 Safari/604.1"
)
PLACE = {"country": {"iso_code": "MX"}, "city": {"names": {"en": "Marktown"}}}

SENT = {
    "t": "purchase",
    "cid": 3,
    "did": DEVICE,
    "url": "https://login-mark:pw@shop.example/checkout?token=query-mark#fragment-mark",
    "ref": "https://ref.example/page?q=referrer-mark",
    "ip": IP,
    "ua": UA,
    "props": {
        "order_id": "order-kept",
        "revenue": 24999.00,
        "currency": "MXN",
        "product_id": "product-kept",
        "product_name": "name-kept",
        "quantity": 1,
        "user_id": "user-mark",
        "email": "Mail-Mark@x.example",
        "phone": "+525512345678",
        "note": "note-mark",
        "nested": {"deep": ["deep-mark"]},
    },
}

KEPT = {
    "order-kept",
    "product-kept",
    "name-kept",
    "24999",
    "MXN",
    DEVICE,
    "shop.example/checkout",
    "189.203.1",
}
REDUCED = {
    "login-mark",
    "query-mark",
    "fragment-mark",
    "referrer-mark",
    IP,
    "iPhone",
    "AppleWebKit",
    "ail-mark@x.example",  # lower case in a column, as sent in raw
    "+525512345678",
    "note-mark",
    "deep-mark",
}
"""Withheld where one of the four is missing, whichever it is."""

OF_DEVICE = {"Mobile Safari", "iOS", "mobile"}
ALL = 0xFF

WITHHELD: dict[int, set[str]] = {
    ALL: set(),
    ALL - 8: set(),  # marketing, personalisation, third parties: nothing of them is in the row
    ALL - 8 - 16 - 32 - 128: set(),
    ALL - 1: REDUCED | {"user-mark"},
    ALL - 2: REDUCED | {"user-mark"},
    ALL - 4: REDUCED | {"Marktown"},
    ALL - 64: REDUCED | OF_DEVICE,
    ALL - 4 - 64: REDUCED | OF_DEVICE | {"Marktown"},
    1: REDUCED | OF_DEVICE | {"Marktown", "user-mark"},
    0: REDUCED | OF_DEVICE | {"Marktown", "user-mark"},
}
EVERYTHING = set().union(*WITHHELD.values())


class Shop:
    """A log, a worker and a warehouse; `tenant` is one of a registry of its own."""

    def __init__(self, use: Resources, tenant: int) -> None:
        self.use = use
        self.tenant = tenant
        self._system = System(log=MemoryLog(partitions=1, inc=int(time.time() * 1000) % 65_000 + 1))

    async def store(self, event: Mapping[str, Any], dialect: str = "relo") -> str:
        """Send one event as the gateway would, wait until the worker is done; return its request id."""
        request = str(uuid4())
        await MemoryBus(self._system.log).publish(RAW, [self._record(event, dialect, request)])
        stop = asyncio.Event()
        worker = make_worker(
            events_pipeline(self.use),
            bus=MemoryBus(self._system.log),
            warehouse=self.use.warehouse,
            stop=stop,
        )
        running = asyncio.create_task(worker.run())
        async with asyncio.timeout(20):
            while not self._system.complete():
                await asyncio.sleep(0.01)
        stop.set()
        await running
        return request

    def _record(self, event: Mapping[str, Any], dialect: str, request: str) -> Record:
        endpoint = next(each for each in discover() if each.name == dialect).endpoints[0]
        raw = msgspec.Raw(json.dumps(event).encode())
        accepted = endpoint.validate(raw, _token(dialect))
        assert isinstance(accepted, Accepted), accepted
        envelope = Envelope(
            v=1,
            id=str(uuid4()),
            dialect=dialect,
            endpoint=endpoint.name,
            tenant=self.tenant,
            source=accepted.source,
            received_at=time.time_ns() // 1_000_000,
            ip=accepted.ip or IP,
            ip_source="event" if accepted.ip else "connection",
            ua=accepted.ua or UA,
            ua_source="event" if accepted.ua else "connection",
            request=request,
            of=1,
            event=raw,
        )
        return Record(f"{self.tenant}|{accepted.subject}".encode(), encode(envelope))


def _token(dialect: str) -> Token:
    return Token(
        key_id="k",
        dialect=dialect,
        tenant=None,  # type: ignore[arg-type] # no rule asks for it
        scopes=frozenset({"write"}),
        client_ids=frozenset({3}),
    )


@pytest.fixture(scope="module")
def settings(clickhouse: EmbeddedClickHouse, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home: Path = tmp_path_factory.mktemp("consent")
    write_mmdb(home / "city.mmdb", {"189.203.1.0/24": PLACE})
    settings = Settings(
        home=str(home),
        clickhouse_url=clickhouse.url_of(DATABASE),
        geoip_db=str(home / "city.mmdb"),
        worker_wait_ms=1,
    )
    asyncio.run(clickhouse.migrate(DATABASE))
    asyncio.run(migrate_registry(settings))
    return settings


@pytest.fixture
async def use(settings: Settings) -> AsyncIterator[Resources]:
    async with open_resources(settings) as use:
        yield use


async def shop(use: Resources, **settings: Any) -> Shop:
    tenant = await use.registry.add_tenant(f"shop-{uuid4().hex[:12]}", "Shop")
    await use.registry.update_tenant_settings(tenant.id, TenantSettings(**settings))
    return Shop(use, tenant.id)


def now() -> dict[str, Any]:
    return {**SENT, "ts": time.time_ns() // 1_000_000}


async def row_of(warehouse: Warehouse, request: str, table: str = "events") -> dict[str, Any]:
    sql = f"SELECT * FROM {table} WHERE request_id = %(request)s"
    (row,) = await warehouse.query(sql, {"request": request})
    return row


def found(marks: set[str], row: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the columns in which each mark stands, in any case."""
    texts = {name: str(value).casefold() for name, value in row.items()}
    columns = {mark: [name for name, text in texts.items() if mark.casefold() in text] for mark in marks}
    return {mark: names for mark, names in columns.items() if names}


@pytest.mark.parametrize("mask", WITHHELD)
async def test_no_withheld_value_is_stored(use: Resources, mask: int) -> None:
    row = await row_of(use.warehouse, await (await shop(use)).store(now() | {"consent": mask}))
    assert found(WITHHELD[mask], row) == {}
    kept = EVERYTHING - WITHHELD[mask] | KEPT
    assert set(found(kept, row)) == kept
    assert row["consent"] == mask
    assert row["country"] == "MX"
    assert ("withheld" in row["flags"]) == bool(WITHHELD[mask])


async def test_a_reduced_row_says_exactly_this(use: Resources) -> None:
    row = await row_of(use.warehouse, await (await shop(use)).store(now() | {"consent": 0}))
    assert json.loads(row["properties"]) == {
        "order_id": "order-kept",
        "revenue": 24999.00,
        "currency": "MXN",
        "product_id": "product-kept",
        "product_name": "name-kept",
        "quantity": 1,
    }
    assert row["url"] == "https://shop.example/checkout"
    assert row["referrer"] == "https://ref.example/page"
    assert row["ip"] == "189.203.1.0"
    empty = ("raw", "user_agent", "city", "browser", "os", "device_type", "user_id", "extra")
    assert {name: row[name] for name in empty} == dict.fromkeys(empty, "")
    assert (row["person_id"], row["fraud_score"], row["fraud_reasons"]) == (None, None, [])
    assert (row["subject"], row["anonymous_id"]) == (DEVICE, DEVICE)


async def test_a_tenants_own_bits_decide(use: Resources) -> None:
    own = await shop(use, consent_bits={"location": 8, "marketing": 4})
    located = await row_of(use.warehouse, await own.store(now() | {"consent": ALL - 4}))
    hidden = await row_of(use.warehouse, await own.store(now() | {"consent": ALL - 8}))
    assert found(WITHHELD[ALL], located) == {}
    assert located["city"] == "Marktown"
    assert found(WITHHELD[ALL - 4], hidden) == {}


@pytest.mark.parametrize("dialect", ["relo", "alana", "redo"])
async def test_a_tenants_default_holds_for_events_that_say_nothing(use: Resources, dialect: str) -> None:
    events: dict[str, dict[str, Any]] = {
        "relo": now(),
        "alana": {
            "eventType": "search",
            "visitorId": DEVICE,
            "userId": "user-mark",
            "query": "name-kept",
            "metadata": {"note": "note-mark"},
        },
        "redo": {
            "eventName": "name-kept",
            "customer": {"email": "mail-mark@x.example", "firstName": "first-mark"},
            "data": {"note": "note-mark", "$extra": {"deep": "deep-mark"}},
        },
    }
    row = await row_of(
        use.warehouse, await (await shop(use, consent_default=1)).store(events[dialect], dialect)
    )
    assert found(EVERYTHING | {"first-mark"}, row) == {}
    assert found({"name-kept"}, row)
    assert row["consent"] == 1


async def test_dropping_is_a_setting_counted_and_told(use: Resources) -> None:
    strict = await shop(use, drop_without_analytics=True, events_days=8)
    request = await strict.store(now() | {"consent": ALL - 1})
    assert await use.warehouse.query("SELECT 1 FROM events WHERE request_id = %(id)s", {"id": request}) == []
    outcome = await row_of(use.warehouse, request, "outcomes")
    assert (outcome["outcome"], outcome["reason"]) == ("dropped", "no_analytics_consent")
    assert outcome["retention_days"] == 8
    assert found(EVERYTHING, outcome) == {}
    receipt = await receipts.receipt(
        use.warehouse, InFlight(MemoryBus(MemoryLog(partitions=1, inc=1))), request, strict.tenant
    )
    assert receipt is not None
    (fate,) = receipt.attempts[0].events
    assert (fate.outcome, fate.reason) == ("dropped", "no_analytics_consent")
    kept = await strict.store(now() | {"consent": 1})
    assert (await row_of(use.warehouse, kept))["retention_days"] == 8
