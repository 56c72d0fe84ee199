"""What is remembered of the registry, for how long, and what happens while it is down."""

import asyncio

import pytest

from gateway import cache as timing
from gateway.cache import Cache
from gateway.metrics import Metrics
from stores.base import StoreUnavailable


class Clock:
    """Stands in for time.monotonic."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Source:
    """A registry of upper-case names."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.down = False
        self.known = {"a": "A", "b": "B"}
        self.pause_s = 0.0

    async def load(self, key: str) -> str | None:
        self.asked.append(key)
        await asyncio.sleep(self.pause_s)
        if self.down:
            raise StoreUnavailable("down")
        return self.known.get(key)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(timing, "monotonic", made)
    return made


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def cache(source: Source, clock: Clock) -> Cache[str, str]:
    return Cache("names", source.load, fresh_s=15, known_max=2, unknown_max=2, metrics=Metrics())


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_known_and_unknown_are_asked_once(cache: Cache[str, str], source: Source) -> None:
    for _ in range(3):
        assert await cache.get("a") == "A"
        assert await cache.get("x") is None
    assert source.asked == ["a", "x"]


async def test_many_who_ask_at_once_ask_once(cache: Cache[str, str], source: Source) -> None:
    assert await asyncio.gather(*[cache.get("a") for _ in range(50)]) == ["A"] * 50
    assert source.asked == ["a"]


async def test_an_old_answer_is_given_and_renewed_behind(
    cache: Cache[str, str], source: Source, clock: Clock
) -> None:
    await cache.get("a")
    source.known["a"] = "revoked"
    clock.now += 15
    assert await cache.get("a") == "A"
    await settle()
    assert await cache.get("a") == "revoked"
    assert source.asked == ["a", "a"]


async def test_nothing_older_than_30_s_is_used(cache: Cache[str, str], source: Source, clock: Clock) -> None:
    await cache.get("a")
    source.known["a"] = "revoked"
    clock.now += 30
    assert await cache.get("a") == "revoked"


async def test_an_unknown_one_is_found_when_it_comes(
    cache: Cache[str, str], source: Source, clock: Clock
) -> None:
    assert await cache.get("new") is None
    source.known["new"] = "NEW"
    clock.now += 14
    assert await cache.get("new") is None
    clock.now += 1
    assert await cache.get("new") == "NEW"


async def test_known_ones_outlive_an_outage_and_unknown_ones_do_not(
    cache: Cache[str, str], source: Source, clock: Clock
) -> None:
    await cache.get("a")
    await cache.get("x")
    source.down = True
    clock.now += 3_600
    assert await cache.get("a") == "A"
    for key in ("x", "b"):
        with pytest.raises(StoreUnavailable):
            await cache.get(key)
    source.down = False
    source.known["a"] = "revoked"
    clock.now += timing.RETRY_S
    assert await cache.get("a") == "revoked"
    assert await cache.get("b") == "B"


async def test_a_registry_that_is_down_is_asked_once_a_second(
    cache: Cache[str, str], source: Source, clock: Clock
) -> None:
    await cache.get("a")
    source.down = True
    clock.now += 60
    source.asked.clear()
    for _ in range(10):
        assert await cache.get("a") == "A"
        with pytest.raises(StoreUnavailable):
            await cache.get("b")
        await settle()
    assert len(source.asked) == 1
    clock.now += timing.RETRY_S
    with pytest.raises(StoreUnavailable):
        await cache.get("b")
    assert len(source.asked) == 2


async def test_a_registry_that_hangs_counts_as_down(
    cache: Cache[str, str], source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "LOOKUP_S", 0.02)
    source.pause_s = 30
    with pytest.raises(StoreUnavailable):
        await cache.get("a")


async def test_one_who_stops_waiting_spoils_it_for_nobody(cache: Cache[str, str], source: Source) -> None:
    source.pause_s = 0.02
    impatient = asyncio.create_task(cache.get("a"))
    patient = asyncio.create_task(cache.get("a"))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == "A"
    assert source.asked == ["a"]


async def test_guesses_do_not_push_out_what_is_known(cache: Cache[str, str], source: Source) -> None:
    await cache.get("a")
    for guess in range(20):
        await cache.get(f"guess-{guess}")
    source.asked.clear()
    assert await cache.get("a") == "A"
    assert source.asked == []
    assert await cache.get("guess-0") is None
    assert source.asked == ["guess-0"]


async def test_the_one_read_longest_ago_is_forgotten(cache: Cache[str, str], source: Source) -> None:
    source.known["c"] = "C"
    for key in ("a", "b", "c"):
        await cache.get(key)
    source.asked.clear()
    await cache.get("b")
    await cache.get("c")
    assert source.asked == []
    await cache.get("a")
    assert source.asked == ["a"]
