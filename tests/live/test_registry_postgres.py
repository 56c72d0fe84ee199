"""The registry on a real Postgres: the contract, outages, TLS, and two processes at once."""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.settings import Settings
from schemas.tenants import TenantRef
from schemas.topics import Coordinates
from stores.base import StoreMisconfigured, StoreUnavailable
from stores.migrations import migrate_registry
from stores.registry import KeyClaim, SqlRegistry, database, open_registry
from stores.registry.database import READ_DEADLINE_S, open_database
from stores.registry.tables import metadata
from tests.chaos.proxy import Fault, Proxy, free_port
from tests.contract import registry_contract
from tests.live.servers import LiveServer

registry = registry_contract.registry
shop = registry_contract.shop
rival = registry_contract.rival

CLAIM = KeyClaim(1, "7f0f3c0e-0d0c-4a3e-9b1a-5a5f0c1d2e3f", Coordinates(1, "events.raw", 0, 7))


async def make_database(server: LiveServer, name: str) -> Settings:
    """Make an empty database: other tests of this session have theirs."""
    connection = await asyncpg.connect(server.url)
    await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return Settings(registry_url=server.url.rpartition("/")[0] + "/" + name)


@pytest.fixture(scope="module")
def migrated(postgres: LiveServer) -> Settings:
    async def make() -> Settings:
        settings = await make_database(postgres, "registry_contract")
        await migrate_registry(settings)
        return settings

    return asyncio.run(make())


@pytest.fixture
async def settings(postgres: LiveServer, migrated: Settings) -> AsyncIterator[Settings]:
    yield migrated
    postgres.start()
    connection = await asyncpg.connect(migrated.registry_url)
    # What names a tenant goes with it.
    await connection.execute(
        "TRUNCATE tenants, event_keys, person_links, person_pairs, person_overrides, person_epochs,"
        " deliveries CASCADE"
    )
    await connection.close()


@pytest.fixture
async def empty(postgres: LiveServer) -> Settings:
    return await make_database(postgres, "registry_empty")


class TestPostgres(registry_contract.RegistryContract):
    async def everything_stored(self, registry: SqlRegistry) -> bytes:
        async with registry._database.engine.connect() as connection:
            rows = [await connection.exec_driver_sql(f'SELECT * FROM "{table}"') for table in metadata.tables]
            return "".join(map(str, (row for result in rows for row in result))).encode()


async def test_migrating_is_repeatable_and_the_tables_are_those_of_the_code(empty: Settings) -> None:
    taken = await asyncio.gather(*(migrate_registry(empty) for _ in range(5)))
    *others, one = sorted(map(len, taken))
    assert (others, one > 0) == ([0, 0, 0, 0], True)
    database = open_database(empty)

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await database.close()


async def test_a_newer_registry_is_refused(empty: Settings) -> None:
    await migrate_registry(empty)
    connection = await asyncpg.connect(empty.registry_url)
    await connection.execute("UPDATE alembic_version SET version_num = '9999_future'")
    await connection.close()
    with pytest.raises(StoreMisconfigured, match=r"newer version of Penstock .*9999_future"):
        await migrate_registry(empty)


async def test_a_registry_that_was_never_migrated(empty: Settings) -> None:
    async with open_registry(empty) as registry:
        with pytest.raises(StoreMisconfigured, match="penstock migrate"):
            await registry.claim_keys([CLAIM])
        with pytest.raises(StoreUnavailable, match="penstock migrate"):
            await registry.token(b"x")


@pytest.mark.parametrize(("part", "wrong"), [("penstock:", "penstock:x"), ("/registry_", "/nowhere_")])
async def test_wrong_credentials_are_a_sentence(settings: Settings, part: str, wrong: str) -> None:
    url = settings.registry_url.replace(part, wrong)
    async with open_registry(Settings(registry_url=url)) as registry:
        with pytest.raises(StoreMisconfigured, match="Postgres refuses the registry") as caught:
            await registry.list_tenants()
        with pytest.raises(StoreUnavailable):
            await registry.probe()
    password = url.split(":")[2].split("@")[0]
    assert password not in str(caught.value)


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_it_serves_again_after_an_outage(postgres: LiveServer, registry: SqlRegistry, how: str) -> None:
    shop = await registry.add_tenant("shop", "Shop")
    await asyncio.gather(*(registry.probe() for _ in range(8)))  # so that the pool is full
    getattr(postgres, how)()
    for work in (registry.tenant(TenantRef("id", "1")), registry.claim_keys([CLAIM]), registry.probe()):
        with pytest.raises(StoreUnavailable):
            await work
    postgres.start()
    assert await registry.tenant(TenantRef("id", "1")) == shop
    assert [owner.at for owner in await registry.claim_keys([CLAIM])] == [CLAIM.at]


async def test_a_server_that_waits_for_its_clients_can_stop(
    postgres: LiveServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM: it lets nobody in and waits until all have gone, the idle ones too."""
    monkeypatch.setattr(database, "SESSION_S", 1.0)
    async with open_registry(settings) as registry:
        await asyncio.gather(*(registry.probe() for _ in range(8)))  # so that the pool is full
        postgres.tell_to_stop()
        try:
            await asyncio.to_thread(postgres.wait)
        finally:
            postgres.kill()
            postgres.start()
        await registry.probe()


async def test_a_restart_between_two_calls_is_not_noticed(
    postgres: LiveServer, registry: SqlRegistry
) -> None:
    await registry.probe()
    postgres.stop()
    postgres.start()
    await registry.probe()
    assert await registry.list_tenants() == []


async def test_a_connection_cut_in_the_middle(settings: Settings, registry: SqlRegistry) -> None:
    """A failover ends sessions with statements under way."""
    cutter = await asyncpg.connect(settings.registry_url)

    async def cut() -> None:
        for _ in range(20):
            await cutter.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'penstock'"
            )
            await asyncio.sleep(0.02)

    batch = [KeyClaim(1, f"00000000-0000-4000-8000-{n:012x}", CLAIM.at) for n in range(2_000)]
    cutting = asyncio.create_task(cut())
    failures = 0
    while not cutting.done():
        try:
            await registry.claim_keys(batch)
        except StoreUnavailable:
            failures += 1
    await cutting
    await cutter.close()
    assert failures
    assert {owner.at for owner in await registry.claim_keys(batch)} == {CLAIM.at}


@pytest.mark.parametrize("fault", ["drop_replies", "drop_requests", "half_close"])
async def test_a_network_that_falls_silent_costs_two_seconds(
    settings: Settings, postgres: LiveServer, fault: Fault
) -> None:
    proxy = Proxy("postgres", free_port(), lambda: postgres.port)
    await proxy.start()
    url = settings.registry_url.replace(f":{postgres.port}/", f":{proxy.port}/")
    async with open_registry(Settings(registry_url=url)) as registry:
        await asyncio.gather(*(registry.probe() for _ in range(4)))
        proxy.break_with(fault)
        began = time.monotonic()
        answers = await asyncio.gather(*(registry.token(b"x") for _ in range(20)), return_exceptions=True)
        took = time.monotonic() - began
        assert {type(answer) for answer in answers} == {StoreUnavailable}
        assert took < READ_DEADLINE_S + 1
        proxy.heal()
        assert await registry.token(b"x") is None
        await asyncio.gather(*(registry.probe() for _ in range(4)))
        proxy.break_with(fault)
        async with asyncio.timeout(10):
            await registry.__aexit__()
    await proxy.stop()


async def test_several_hosts_may_be_named(settings: Settings, postgres: LiveServer) -> None:
    at = f"@127.0.0.1:{postgres.port}/"
    url = settings.registry_url.replace(at, f"@127.0.0.1:1,127.0.0.1:{postgres.port}/")
    async with open_registry(Settings(registry_url=f"{url}?target_session_attrs=read-write")) as registry:
        await registry.probe()


async def test_a_worker_that_freezes_holds_no_locks(settings: Settings, registry: SqlRegistry) -> None:
    """Each of its statements was committed by itself: nobody waits for a key that it has just taken."""
    taken = asyncio.Event()

    async def take_and_freeze(connection: AsyncConnection) -> None:
        await connection.execute(
            text(f"INSERT INTO event_keys VALUES (1, '{CLAIM.event_id}', 1, 'events.raw', 0, 7)")
        )
        taken.set()
        await asyncio.sleep(60)

    async with open_registry(settings) as worker:
        frozen = asyncio.create_task(worker._database.single(take_and_freeze))
        await taken.wait()
        late = KeyClaim(1, CLAIM.event_id, Coordinates(1, "events.raw", 1, 1))
        async with asyncio.timeout(5):
            assert [owner.at for owner in await registry.claim_keys([late])] == [CLAIM.at]
        frozen.cancel()
