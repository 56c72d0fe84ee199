"""Rate limits in memory, and what opening and closing a store promises."""

import asyncio

import pytest

from schemas.settings import Settings, SettingsError
from stores.keys import MemoryKeys, SharedLimits, open_keys
from stores.keys.redis import RedisKeys
from tests.contract import keys_contract

limit = keys_contract.limit
name = keys_contract.name


class Clock:
    """Time that moves only when a test says so."""

    def __init__(self) -> None:
        self.now_ns = 12_345

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(clock: Clock) -> MemoryKeys:
    return MemoryKeys(clock_ns=clock)


class TestMemory(keys_contract.KeysContract):
    @pytest.fixture(autouse=True)
    def remember(self, clock: Clock) -> None:
        self.clock = clock

    async def wait(self, milliseconds: int) -> None:
        self.clock.now_ns += milliseconds * 1_000_000

    async def test_a_moment_too_early_is_refused(self, keys: MemoryKeys, limit: keys_contract.Make) -> None:
        *_, refused = await keys_contract.take_all(keys, limit(7, period_ms=60_000))
        self.clock.now_ns += (refused.retry_after_ms - 1) * 1_000_000
        assert not (await keys.take([limit(7, period_ms=60_000)])).allowed
        self.clock.now_ns += 1_000_000
        assert (await keys.take([limit(7, period_ms=60_000)])).allowed

    async def test_counters_are_forgotten_in_the_end(self, keys: MemoryKeys) -> None:
        await keys.count({"a": 5}, 1_000)
        for _ in range(2):
            await self.wait(1_001)
            await keys.count({"b": 1}, 1_000)
        assert await keys.count({"a": 0}, 1_000) == [0]


async def test_it_is_opened_by_its_address() -> None:
    async with open_keys(Settings()) as keys:
        assert isinstance(keys, MemoryKeys)
    assert isinstance(open_keys(Settings(keys_url="rediss://:hush@127.0.0.1:1/0")), SharedLimits)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "memory",
        "redis:",
        "http://127.0.0.1",
        "redis://127.0.0.1:port/0",
        "redis://127.0.0.1:1/0?colour=red",
    ],
)
def test_an_address_of_the_wrong_shape_is_named(url: str) -> None:
    with pytest.raises(SettingsError, match="PENSTOCK_KEYS_URL is not usable"):
        open_keys(Settings(keys_url=url))


class Stubborn:
    """A client that takes its cancellation for a broken connection, as the driver does now and then."""

    asked = False

    def register_script(self, script: str) -> None:
        """Take it."""

    async def ping(self) -> None:
        if not self.asked:
            self.asked = True
            raise ConnectionError("nobody listens")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise ConnectionError("cut") from None

    async def aclose(self) -> None:
        """Close nothing."""


async def test_a_store_that_is_down_does_not_keep_a_process_from_ending() -> None:
    keys = RedisKeys(Stubborn())  # type: ignore[arg-type]
    await keys.__aenter__()
    await asyncio.sleep(0.01)  # it is being asked again
    async with asyncio.timeout(10):
        await keys.__aexit__()
