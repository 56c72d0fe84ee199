"""Rate limits in a real Redis: the contract, several processes, and outages that no request notices."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from schemas.settings import Settings
from stores.base import Limit, Permit, StoreUnavailable
from stores.keys import SharedLimits, open_keys
from stores.keys.redis import RedisKeys, open_redis
from stores.keys.shared import DRAW_MS
from tests.chaos.proxy import Fault, Proxy, free_port
from tests.contract import keys_contract
from tests.contract.keys_contract import HOUR_MS, Make
from tests.live.servers import LiveServer

limit = keys_contract.limit
name = keys_contract.name


@pytest.fixture
async def keys(redis: LiveServer) -> AsyncIterator[RedisKeys]:
    redis.start()
    async with open_redis(redis.url) as keys:
        yield keys


async def open_shared(url: str) -> SharedLimits:
    keys = open_keys(Settings(keys_url=url))
    assert isinstance(keys, SharedLimits)
    return await keys.__aenter__()


@pytest.fixture
async def gateways(redis: LiveServer) -> AsyncIterator[tuple[SharedLimits, SharedLimits]]:
    """Two processes, as far as the store can tell."""
    redis.start()
    first, second = await open_shared(redis.url), await open_shared(redis.url)
    yield first, second
    await first.__aexit__()
    await second.__aexit__()


class TestRedis(keys_contract.KeysContract):
    async def test_a_draw_takes_what_is_left(self, keys: RedisKeys, limit: Make) -> None:
        for wanted, granted, left in ((4, 4, 6), (4, 4, 2), (4, 2, 0), (4, 0, 0)):
            (grant,) = await keys.draw([limit(10)], wanted)
            assert (grant.permits, grant.permit.remaining) == (granted, left)
            assert grant.permit.allowed == (granted > 0)

    async def test_more_asks_than_fit_one_call(self, keys: RedisKeys, limit: Make) -> None:
        asks = (keys.take([limit(1, key=str(n)), limit(10_000)]) for n in range(350))
        permits = await asyncio.gather(*asks)
        assert [permit.allowed for permit in permits] == [True] * 350

    async def test_a_caller_that_went_away_harms_nobody(self, keys: RedisKeys, limit: Make) -> None:
        tasks = [asyncio.create_task(keys.take([limit(100)])) for _ in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(answer, Permit) and answer.allowed for answer in answers[1::2])
        assert (await keys.take([limit(100)])).remaining == 79

    async def test_a_clock_that_was_set_back_costs_one_period(
        self, redis: LiveServer, keys: RedisKeys, limit: Make
    ) -> None:
        client = Redis.from_url(redis.url)
        await client.set(f"penstock:limit:{limit(6).key}", str(4_000_000_000_000_000))
        refused = await keys.take([limit(6)])
        assert not refused.allowed
        assert refused.retry_after_ms <= HOUR_MS // 6
        await client.aclose()

    async def test_buckets_end_by_themselves(self, redis: LiveServer, keys: RedisKeys, limit: Make) -> None:
        client = Redis.from_url(redis.url)
        await keys.take([limit(10, period_ms=60_000)])
        assert 0 < await client.pttl(f"penstock:limit:{limit(10).key}") <= 6_000
        await client.aclose()

    async def test_counters_end_by_themselves_however_often_they_are_added_to(
        self, redis: LiveServer, keys: RedisKeys, name: keys_contract.Name
    ) -> None:
        client = Redis.from_url(redis.url)
        await keys.count({name("a"): 1}, 60_000)
        await client.pexpire(f"penstock:count:{name('a')}", 30_000)
        await keys.count({name("a"): 1, name("b"): 0}, 60_000)
        assert 0 < await client.pttl(f"penstock:count:{name('a')}") <= 30_000
        assert not await client.exists(f"penstock:count:{name('b')}")
        await client.aclose()

    async def test_limits_are_answered_while_a_worker_counts(
        self, keys: RedisKeys, limit: Make, name: keys_contract.Name
    ) -> None:
        taken = 0
        for attempt in range(10):  # a busy machine may have counted before it is asked twice
            names = {name(f"{attempt}-{n}"): 1 for n in range(40_000)}
            counting = asyncio.create_task(keys.count(names, 60_000))
            taken = 0
            while not counting.done():
                assert (await keys.take([limit(1_000_000)])).allowed
                taken += 1
            assert set(await counting) == {1}
            if taken > 1:
                break
        assert taken > 1

    async def test_a_forgotten_script_is_sent_again(
        self, redis: LiveServer, keys: RedisKeys, limit: Make
    ) -> None:
        await keys.take([limit(3)])
        client = Redis.from_url(redis.url)
        await client.script_flush()
        await client.aclose()
        assert (await keys.take([limit(3)])).remaining == 1


class TestShared(keys_contract.KeysContract):
    @pytest.fixture
    def keys(self, gateways: tuple[SharedLimits, SharedLimits]) -> SharedLimits:
        return gateways[0]


async def count(keys: SharedLimits, *limits: Limit, takes: int) -> int:
    return sum([(await keys.take(limits)).allowed for _ in range(takes)])


async def test_two_gateways_share_a_limit_exactly(
    gateways: tuple[SharedLimits, SharedLimits], limit: Make
) -> None:
    shared = limit(100)
    assert sum(await asyncio.gather(*(count(keys, shared, takes=90) for keys in gateways))) == 100


async def test_two_gateways_share_a_fast_limit_nearly(
    gateways: tuple[SharedLimits, SharedLimits], limit: Make
) -> None:
    fast = limit(60_000 * 60)  # 1,000 a second
    drawn = fast.requests * DRAW_MS // fast.period_ms
    first, second = gateways
    assert await count(first, fast, takes=250) == 250
    assert (await second.take([fast])).remaining <= fast.requests - 250
    store_left = (await second.take([fast])).remaining - (drawn - 2)
    # The store has given out whole draws: what is spent, and what either gateway still holds.
    assert fast.requests - store_left <= 250 + 2 * drawn
    assert first.alone_total == second.alone_total == 0


async def test_a_fast_limit_ends(gateways: tuple[SharedLimits, SharedLimits], limit: Make) -> None:
    fast = limit(30, period_ms=1_000)  # 1,800 a minute, 3 permits a draw
    granted = sum(await asyncio.gather(*(count(keys, fast, takes=40) for keys in gateways)))
    assert granted >= 30
    keys = gateways[0]
    while (permit := await keys.take([fast])).allowed:
        pass
    assert permit.remaining == 0
    assert 1 <= permit.retry_after_ms <= 1_000
    async with asyncio.timeout(5):
        while not (await keys.take([fast])).allowed:
            await asyncio.sleep(permit.retry_after_ms / 1000)


async def test_a_refusal_is_remembered_for_a_moment(
    redis: LiveServer, gateways: tuple[SharedLimits, SharedLimits], limit: Make
) -> None:
    fast, keys = limit(20, period_ms=1_000), gateways[0]
    client = Redis.from_url(redis.url)
    await count(keys, fast, takes=25)
    before = (await client.info("commandstats"))["cmdstat_evalsha"]["calls"]
    await count(keys, fast, takes=2_000)
    assert (await client.info("commandstats"))["cmdstat_evalsha"]["calls"] - before < 1_000
    await client.aclose()


async def test_a_refusal_by_one_limit_gives_the_others_back(
    gateways: tuple[SharedLimits, SharedLimits], limit: Make
) -> None:
    keys = gateways[0]
    fast, slow = limit(2_000 * 60, key="fast"), limit(2, key="slow")
    assert await count(keys, fast, slow, takes=20) == 2
    assert (await keys.take([fast])).remaining == fast.requests - 3
    other = limit(5_000 * 60, key="other")
    assert await count(keys, other, fast, takes=4) == 4
    assert (await keys.take([other])).remaining == other.requests - 5


async def wait_until_shared(keys: SharedLimits, limit: Make) -> None:
    async with asyncio.timeout(15):
        while True:
            before = keys.alone_total
            await keys.take([limit(1_000_000, key="probe")])
            if keys.alone_total == before:
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("how", ["stop", "kill", "freeze"])
async def test_an_outage_makes_each_process_decide_alone(
    redis: LiveServer, gateways: tuple[SharedLimits, SharedLimits], limit: Make, how: str
) -> None:
    keys, other = gateways
    slow, fast = limit(50, key="slow"), limit(3_000 * 60, key="fast")
    await keys.take([slow, fast])
    getattr(redis, how)()
    # If each of them paid the timeout this would take a minute.
    async with asyncio.timeout(10):
        assert await count(keys, slow, takes=200) == 50
        assert await count(other, slow, takes=200) == 50
        assert await count(keys, limit(3_000 * 60, key="new"), takes=300) == 300
    assert keys.alone_total >= 200 + 300
    with pytest.raises(StoreUnavailable):
        await keys.probe()
    redis.thaw() if how == "freeze" else redis.start()
    await wait_until_shared(keys, limit)
    await wait_until_shared(other, limit)
    await keys.probe()
    again = limit(40, key="again")
    assert sum(await asyncio.gather(*(count(each, again, takes=30) for each in gateways))) == 40


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_counters_of_an_outage_are_refused_soon(
    redis: LiveServer, gateways: tuple[SharedLimits, SharedLimits], limit: Make, how: str
) -> None:
    keys = gateways[0]
    getattr(redis, how)()
    async with asyncio.timeout(10):
        for _ in range(100):
            with pytest.raises(StoreUnavailable):
                await keys.count({"a": 1}, 1_000)
    redis.thaw() if how == "freeze" else redis.start()
    await wait_until_shared(keys, limit)
    assert await keys.count({f"{limit(1).key}": 4}, 1_000) == [4]


@pytest.mark.parametrize("fault", ["cut", "drop_replies", "drop_requests", "half_close"])
async def test_a_broken_network_is_like_an_outage(redis: LiveServer, limit: Make, fault: Fault) -> None:
    redis.start()
    proxy = Proxy("redis", free_port(), lambda: redis.port)
    await proxy.start()
    alone = 0

    def on_alone() -> None:
        nonlocal alone
        alone += 1

    url = redis.url.replace(str(redis.port), str(proxy.port))
    async with open_keys(Settings(keys_url=url), on_alone=on_alone) as keys:
        assert isinstance(keys, SharedLimits)
        await keys.take([limit(10)])
        proxy.break_with(fault)
        async with asyncio.timeout(10):
            assert await count(keys, limit(10, key="b"), takes=300) == 10
        assert alone == keys.alone_total == 300
        proxy.heal()
        await wait_until_shared(keys, limit)
    await proxy.stop()


async def test_a_process_starts_while_the_store_is_down(redis: LiveServer, limit: Make) -> None:
    redis.stop()
    keys = await open_shared(redis.url)
    assert await count(keys, limit(5), takes=9) == 5
    assert keys.alone_total == 9
    redis.start()
    await wait_until_shared(keys, limit)
    await keys.__aexit__()


async def test_a_process_ends_while_requests_wait(redis: LiveServer, limit: Make) -> None:
    redis.start()
    keys = await open_shared(redis.url)
    waiting = [asyncio.create_task(keys.take([limit(1_000)])) for _ in range(50)]
    await asyncio.sleep(0)
    await keys.__aexit__()
    assert all(permit.allowed for permit in await asyncio.gather(*waiting))
