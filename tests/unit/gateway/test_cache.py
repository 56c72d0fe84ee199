"""What is remembered of the registry, for how long, and what happens while it is down."""

import asyncio
from collections.abc import Mapping, Sequence

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
        self.calls: list[list[str]] = []
        self.down = False
        self.known = {"a": "A", "b": "B"}
        self.pause_s = 0.0

    async def load(self, keys: Sequence[str]) -> Mapping[str, str]:
        self.asked += keys
        self.calls.append(list(keys))
        await asyncio.sleep(self.pause_s)
        if self.down:
            raise StoreUnavailable("down")
        return {key: self.known[key] for key in keys if key in self.known}


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


@pytest.fixture
def many(source: Source, clock: Clock) -> Cache[str, str]:
    source.known = {f"k{number}": f"K{number}" for number in range(600)}
    return Cache("names", source.load, fresh_s=15, known_max=1_000, unknown_max=2, metrics=Metrics())


async def test_what_is_asked_for_at_once_shares_calls(many: Cache[str, str], source: Source) -> None:
    got = await asyncio.gather(*[many.get(key) for key in (*source.known, "nobody")])
    assert got == [*source.known.values(), None]
    assert [len(keys) for keys in source.calls] == [256, 256, 89]


async def test_what_comes_during_a_call_shares_the_next(many: Cache[str, str], source: Source) -> None:
    source.pause_s = 0.01
    first = asyncio.create_task(many.get("k0"))
    await settle()
    later = [asyncio.create_task(many.get(key)) for key in ("k0", "k1", "k2")]
    assert [await task for task in (first, *later)] == ["K0", "K0", "K1", "K2"]
    assert source.calls == [["k0"], ["k1", "k2"]]


async def test_one_old_answer_has_all_in_use_renewed(
    many: Cache[str, str], source: Source, clock: Clock
) -> None:
    for key in ("k0", "k1", "k2"):
        await many.get(key)
        clock.now += 5
    source.calls.clear()
    await many.get("k0")  # 15 s old; k1 is 10, k2 is 5
    await settle()
    assert source.calls == [["k0", "k1"]]
    source.known["k1"] = "revoked"
    clock.now += 8
    assert await many.get("k1") == "K1"
    await settle()
    assert source.calls[1:] == []  # of what was renewed nothing is old


async def test_what_nobody_uses_is_not_renewed(many: Cache[str, str], source: Source, clock: Clock) -> None:
    await many.get("k0")
    await many.get("k1")
    for _ in range(30):
        clock.now += 15
        await many.get("k0")
        await settle()
    source.calls.clear()
    clock.now += 15
    await many.get("k0")
    await settle()
    assert source.calls == [["k0"]]
    source.known["k1"] = "changed"
    assert await many.get("k1") == "changed"


async def test_renewing_keeps_nobody_waiting(many: Cache[str, str], source: Source, clock: Clock) -> None:
    await asyncio.gather(*[many.get(f"k{number}") for number in range(599)])
    clock.now += 15
    source.calls.clear()
    await many.get("k0")
    assert await many.get("k599") == "K599"
    assert source.calls[0][0] == "k599"
    assert len(source.calls[0]) == 256


async def test_a_fault_of_the_registry_reaches_everyone_who_asked(many: Cache[str, str]) -> None:
    async def fail(keys: Sequence[str]) -> Mapping[str, str]:
        raise ValueError(keys)

    many._load = fail
    told = await asyncio.gather(many.get("k0"), many.get("k1"), return_exceptions=True)
    assert [type(error) for error in told] == [ValueError, ValueError]
    with pytest.raises(ValueError, match="k2"):
        await many.get("k2")
