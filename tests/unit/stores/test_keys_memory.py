"""stores/keys/memory.py and recent.py: exact against a model with fractions, and bounded."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from stores.base import Limit
from stores.keys.memory import NS_PER_MS, MemoryKeys
from stores.keys.recent import Recent

STEPS = st.lists(
    st.tuples(st.integers(0, 40_000 * NS_PER_MS), st.sampled_from(["a", "b"])), min_size=1, max_size=60
)


@given(requests=st.integers(1, 50), period_ms=st.integers(1, 60_000), steps=STEPS)
def test_it_decides_as_the_definition_does(
    requests: int, period_ms: int, steps: list[tuple[int, str]]
) -> None:
    now = 1
    keys = MemoryKeys(clock_ns=lambda: now)
    interval = Fraction(period_ms * NS_PER_MS // requests)
    full_at: dict[str, Fraction] = {}
    for passed, key in steps:
        now += passed
        permit = keys.decide([Limit(key, requests, period_ms)])
        start = max(full_at.get(key, Fraction(0)), Fraction(now))
        allowed = start + interval - now <= interval * requests
        if allowed:
            full_at[key] = start + interval
        ahead = max(full_at[key] - now, Fraction(0))
        assert permit.allowed == allowed
        assert permit.remaining == (interval * requests - ahead) // interval
        assert permit.reset_ms == -(-ahead // NS_PER_MS)
        wait = 0 if allowed else ahead + interval - interval * requests
        assert permit.retry_after_ms == -(-wait // NS_PER_MS)


@given(
    requests=st.integers(1, 2_000), gaps=st.lists(st.integers(0, 3_000 * NS_PER_MS), min_size=1, max_size=300)
)
def test_no_window_gives_more_than_burst_and_refill(requests: int, gaps: list[int]) -> None:
    now = 1
    keys = MemoryKeys(clock_ns=lambda: now)
    limit = Limit("a", requests, 60_000)
    granted = []
    for gap in gaps:
        now += gap
        if keys.decide([limit]).allowed:
            granted.append(now)
    interval = 60_000 * NS_PER_MS // requests
    for first in range(0, len(granted), 7):
        for last in range(first, len(granted), 5):
            assert last - first + 1 <= requests + (granted[last] - granted[first]) // interval


def test_a_million_addresses_stay_within_the_bound() -> None:
    now = 1
    keys = MemoryKeys(clock_ns=lambda: now, buckets_max=1_000)
    for number in range(50_000):
        keys.decide([Limit(f"ip|{number}", 60, 60_000)])
        assert len(keys._full_at) <= 1_000


def test_what_is_in_use_is_not_forgotten_with_the_rest() -> None:
    now = 1
    keys = MemoryKeys(clock_ns=lambda: now, buckets_max=1_000)
    busy = Limit("busy", 10, 3_600_000)
    granted = 0
    for number in range(20_000):
        keys.decide([Limit(f"ip|{number}", 60, 60_000)])
        if number % 100 == 0:
            granted += keys.decide([busy]).allowed
    # A refused bucket is not written, so it is forgotten after 1,000 others: the stated price of the bound.
    assert 10 <= granted < 200


def test_time_alone_empties_it() -> None:
    recent = Recent[int](entries_max=1_000_000, keep=60)
    for now in range(1_000):
        recent.put(str(now), now, now)
        for younger in range(max(now - 60, 0), now + 1):
            assert recent.get(str(younger)) == younger
    assert len(recent) <= 121


def test_a_longer_period_is_kept_for_longer() -> None:
    now = 1
    keys = MemoryKeys(clock_ns=lambda: now)
    daily = Limit("daily", 1, 86_400_000)
    assert keys.decide([daily]).allowed
    for minute in range(60 * 23):
        now += 60_000 * NS_PER_MS
        keys.decide([Limit(f"ip|{minute}", 60, 60_000)])
        assert not keys.decide([daily]).allowed


async def test_counters_are_bounded() -> None:
    now = 0
    keys = MemoryKeys(clock_ns=lambda: now, counters_max=1_000)
    for n in range(50):
        await keys.count({f"{n}|{key}": 1 for key in range(100)}, 1_000_000)
    assert len(keys._counted) <= 1_000
    assert await keys.count({"49|99": 0, "0|0": 0}, 1_000_000) == [1, 0]
