"""From an HTTP event to a signed webhook that was received, over a real Kafka and a real Postgres."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from bus import open_bus
from bus.kafka import create_topics
from deploy.dev import kafka as kafka_server
from deploy.dev.server import ServerFailed, free_ports
from schemas.matches import match_id
from schemas.settings import Settings
from stores.migrations import migrate_registry
from stores.registry import demo
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow.webhooks import add, sending, until
from tests.flow.whole import REDO, Whole
from tests.live.servers import LiveServer, skip_or_fail
from tests.unit.workers.receiver import receiving
from workers.resources import open_resources

SECONDS = 90
ORDER = {
    "eventName": "Order Placed",
    "customer": {"email": "ann@a.example"},
    "uniqueId": "o-1",
    "data": {"Total": 60},
}


@pytest.fixture
def own_kafka(live_directory: Path) -> Iterator[LiveServer]:
    """A broker for this test alone: workers read all that is in its topics."""
    port, controller_port = free_ports(2)
    directory = live_directory / "kafka-webhooks"
    try:
        server = LiveServer(
            lambda: kafka_server.prepare(directory, port, controller_port),
            live_directory / "kafka-webhooks.log",
        )
    except ServerFailed as missing:
        skip_or_fail(missing)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
async def whole(
    own_kafka: LiveServer, postgres: LiveServer, clickhouse: EmbeddedClickHouse, tmp_path: Path
) -> AsyncIterator[Whole]:
    connection = await asyncpg.connect(postgres.url)
    await connection.execute("CREATE DATABASE webhooks")
    await connection.close()
    await clickhouse.migrate("live_webhooks")
    settings = Settings(
        home=str(tmp_path),
        bus_url=own_kafka.url,
        bus_partitions=2,
        registry_url=postgres.url.rpartition("/")[0] + "/webhooks",
        clickhouse_url=clickhouse.url_of("live_webhooks"),
        worker_wait_ms=20,
    )
    await create_topics(settings)
    await migrate_registry(settings)
    async with open_bus(settings) as bus, open_resources(settings) as use:
        await demo.seed_demo(use.registry)
        yield Whole(settings, bus, use)


async def test_an_event_reaches_a_receiver_signed_and_once(whole: Whole) -> None:
    conditions = {"event": "Order Placed", "where": {"property": "Total", "operator": ">", "value": 50}}
    stop = asyncio.Event()
    async with receiving() as receiver:
        filter_ = await add(whole, conditions, receiver.url)
        working = asyncio.create_task(whole._work("events", stop))
        try:
            async with sending(whole), asyncio.timeout(SECONDS):
                for _ in range(2):  # the second one is a duplicate
                    answer = await whole.send("/v2.2/stores/dev-store/events", ORDER, REDO)
                    assert answer.status_code == 202, answer.text
                [done] = await until(whole.use.registry, 1, "delivered", seconds=SECONDS)
                while len(await whole.query("SELECT 1 FROM outcomes")) < 1:
                    await asyncio.sleep(0.05)
        finally:
            stop.set()
            await working
    [(headers, body)] = receiver.got
    [stored] = await whole.query("SELECT toString(event_id) AS id FROM events")
    told = json.loads(body)
    assert told["id"] == headers["penstock-id"] == done.match_id == match_id(filter_.filter_id, stored["id"])
    assert (told["event"]["email"], told["event"]["properties"]) == ("ann@a.example", {"Total": 60})
    signed = headers["penstock-timestamp"].encode() + b"." + body
    mac = hmac.new(filter_.secret.encode(), signed, hashlib.sha256)
    assert headers["penstock-signature"] == f"v1={mac.hexdigest()}"
