"""What a key store promises, whatever is behind it. A backend's test file gives the fixture `keys`."""

import asyncio
import uuid
from collections.abc import Callable

import pytest

from stores.base import KeyStore, Limit, Permit

HOUR_MS = 3_600_000

Make = Callable[..., Limit]
Name = Callable[[str], str]


@pytest.fixture
def limit() -> Make:
    """Make limits whose buckets no other test uses."""
    test = uuid.uuid4().hex

    def make(requests: int, period_ms: int = HOUR_MS, key: str = "a") -> Limit:
        return Limit(f"{test}|{key}", requests, period_ms)

    return make


@pytest.fixture
def name() -> Name:
    """Make names of counters that no other test uses."""
    test = uuid.uuid4().hex
    return lambda key: f"{test}|{key}"


async def take_all(keys: KeyStore, *limits: Limit) -> list[Permit]:
    """Take until refused; the last one is the refusal."""
    permits = [await keys.take(limits)]
    while permits[-1].allowed:
        permits.append(await keys.take(limits))
    return permits


class KeysContract:
    async def test_a_bucket_gives_its_limit_at_once_and_then_no_more(
        self, keys: KeyStore, limit: Make
    ) -> None:
        *granted, refused = await take_all(keys, limit(5))
        assert [permit.remaining for permit in granted] == [4, 3, 2, 1, 0]
        assert {permit.limit for permit in [*granted, refused]} == {5}
        assert all(permit.retry_after_ms == 0 for permit in granted)
        assert refused.remaining == 0

    async def test_times_are_those_of_a_steady_refill(self, keys: KeyStore, limit: Make) -> None:
        interval = HOUR_MS // 6
        *granted, refused = await take_all(keys, limit(6))
        slack = 5_000  # what the test itself may take
        for number, permit in enumerate(granted, start=1):
            assert number * interval - slack <= permit.reset_ms <= number * interval
        assert HOUR_MS - slack <= refused.reset_ms <= HOUR_MS
        assert interval - slack <= refused.retry_after_ms <= interval

    async def test_who_waits_as_told_is_served(self, keys: KeyStore, limit: Make) -> None:
        slow = limit(3, period_ms=300)
        for _ in range(3):
            *_, refused = await take_all(keys, slow)
            assert 1 <= refused.retry_after_ms <= 100
            await self.wait(refused.retry_after_ms)
            assert (await keys.take([slow])).allowed

    async def test_a_bucket_left_alone_fills_up_and_not_over(self, keys: KeyStore, limit: Make) -> None:
        slow = limit(4, period_ms=400)
        await take_all(keys, slow)
        await self.wait(900)
        first = await keys.take([slow])
        assert (first.allowed, first.remaining) == (True, 3)

    async def test_all_limits_or_none(self, keys: KeyStore, limit: Make) -> None:
        wide, narrow = limit(10, key="wide"), limit(2, key="narrow")
        assert len(await take_all(keys, wide, narrow)) == 3
        for _ in range(3):
            assert not (await keys.take([wide, narrow])).allowed
            assert not (await keys.take([narrow, wide])).allowed
        assert (await keys.take([wide])).remaining == 7

    async def test_the_tightest_answers(self, keys: KeyStore, limit: Make) -> None:
        wide, narrow = limit(10, key="wide"), limit(3, key="narrow")
        for order in ([wide, narrow], [narrow, wide]):
            permit = await keys.take(order)
            assert permit.limit == 3
        await keys.take([narrow])
        refused = await keys.take([wide, narrow])
        assert (refused.allowed, refused.limit) == (False, 3)

    async def test_the_longest_wait_answers(self, keys: KeyStore, limit: Make) -> None:
        hourly, daily = limit(1, key="hourly"), limit(1, period_ms=24 * HOUR_MS, key="daily")
        assert (await keys.take([hourly, daily])).allowed
        for order in ([hourly, daily], [daily, hourly]):
            refused = await keys.take(order)
            assert refused.retry_after_ms > HOUR_MS

    async def test_buckets_are_apart(self, keys: KeyStore, limit: Make) -> None:
        await take_all(keys, limit(1, key="a"))
        assert (await keys.take([limit(1, key="b")])).allowed
        assert (await keys.take([limit(1, key="a b|é\n")])).allowed

    async def test_many_at_once_get_exactly_the_limit(self, keys: KeyStore, limit: Make) -> None:
        permits = await asyncio.gather(*(keys.take([limit(50), limit(60, key="b")]) for _ in range(200)))
        assert sum(permit.allowed for permit in permits) == 50
        granted = sorted(permit.remaining for permit in permits if permit.allowed)
        assert granted == list(range(50))

    async def test_a_changed_limit_counts_from_then_on(self, keys: KeyStore, limit: Make) -> None:
        await take_all(keys, limit(4))
        raised = await keys.take([limit(8)])
        assert not raised.allowed  # the bucket is as empty as it was
        assert raised.retry_after_ms <= HOUR_MS // 8
        lowered = await keys.take([limit(2)])
        assert lowered.retry_after_ms <= HOUR_MS // 2
        assert lowered.reset_ms <= HOUR_MS

    async def test_no_limit_is_no_limit(self, keys: KeyStore) -> None:
        assert (await keys.take([])).allowed

    @pytest.mark.parametrize(("requests", "period_ms"), [(1, 1), (10**9, 1_000), (1, 24 * HOUR_MS)])
    async def test_extremes(self, keys: KeyStore, limit: Make, requests: int, period_ms: int) -> None:
        permit = await keys.take([limit(requests, period_ms=period_ms)])
        assert (permit.allowed, permit.limit) == (True, requests)
        assert permit.remaining <= requests

    async def test_counters_add_up(self, keys: KeyStore, name: Name) -> None:
        assert await keys.count({name("a"): 3, name("b"): 1}, HOUR_MS) == [3, 1]
        assert await keys.count({name("b"): 2, name("c|é 1\n"): 5, name("a"): 0}, HOUR_MS) == [3, 5, 3]

    async def test_a_counter_that_is_only_read_is_not_begun(self, keys: KeyStore, name: Name) -> None:
        assert await keys.count({name("a"): 0}, 100) == [0]
        await self.wait(60)
        assert await keys.count({name("a"): 1}, 100) == [1]
        await self.wait(60)
        assert await keys.count({name("a"): 0}, 100) == [1]

    async def test_nothing_to_count(self, keys: KeyStore) -> None:
        assert await keys.count({}, HOUR_MS) == []

    async def test_counters_and_limits_are_apart(self, keys: KeyStore, limit: Make) -> None:
        await take_all(keys, limit(3))
        assert await keys.count({limit(3).key: 7}, HOUR_MS) == [7]
        assert not (await keys.take([limit(3)])).allowed

    async def test_many_counters_at_once(self, keys: KeyStore, name: Name) -> None:
        counts = {name(str(n)): n for n in range(2_001)}
        assert await keys.count(counts, HOUR_MS) == list(range(2_001))
        assert await keys.count(dict(reversed(counts.items())), HOUR_MS) == [
            2 * n for n in range(2_000, -1, -1)
        ]

    async def test_many_count_the_same_at_once(self, keys: KeyStore, name: Name) -> None:
        totals = await asyncio.gather(*(keys.count({name("a"): 1}, HOUR_MS) for _ in range(50)))
        assert sorted(total for (total,) in totals) == list(range(1, 51))

    async def test_it_answers(self, keys: KeyStore) -> None:
        await keys.probe()

    async def wait(self, milliseconds: int) -> None:
        """Let so much time pass for the store."""
        await asyncio.sleep(milliseconds / 1000)
