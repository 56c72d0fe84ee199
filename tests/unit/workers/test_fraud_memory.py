"""What the fraud rules remember: bounded, and right within what is stated."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from math import inf
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects import currencies
from stores.keys import MemoryKeys
from stores.lastused import LastUsed, LastUsedBy
from tests.unit.workers.judged import event, purchase
from workers.fraud import purchases, tender, velocity
from workers.fraud.minutes import MINUTE_ENTRIES, Minutes
from workers.fraud.purchases import Purchases
from workers.fraud.revenue import BUCKETS_MAX, MEMORY, Usual
from workers.fraud.rules import REVENUE_FACTOR, REVENUE_PURCHASES_MIN, REVENUE_QUANTILE, Reasons
from workers.fraud.tender import is_tender
from workers.fraud.velocity import Velocity, addressed

keys = st.integers(0, 30)


@given(st.integers(2, 20), st.lists(st.tuples(keys, st.booleans())))
def test_what_was_used_last_is_never_forgotten(entries_max: int, uses: Sequence[tuple[int, bool]]) -> None:
    memory = LastUsed[int, int](entries_max)
    put: dict[int, int] = {}
    order: list[int] = []  # of use, the last one last
    for number, (key, is_put) in enumerate(uses):
        value = memory.get(key)
        assert value in (None, put.get(key))
        if key in order[-(entries_max // 2) :]:
            assert value is not None
        if is_put:
            memory.put(key, number)
            put[key] = number
        if is_put or value is not None:
            order = [other for other in order if other != key] + [key]
        assert len(memory) <= entries_max


@given(st.integers(2, 20), st.lists(st.tuples(keys, st.booleans())))
def test_groups_share_one_bound(entries_max: int, uses: Sequence[tuple[int, bool]]) -> None:
    """The same as one LastUsed whose keys hold the group, whatever is put and asked for."""
    grouped, plain = LastUsedBy[int, int, int](entries_max), LastUsed[tuple[int, int], int](entries_max)
    for number, (key, is_put) in enumerate(uses):
        group = key % 3
        assert grouped.get(group, key) == plain.get((group, key))
        if is_put:
            grouped.put(group, key, number)
            plain.put((group, key), number)
        assert len(grouped) == len(plain) <= entries_max


def quantile(amounts: Sequence[float]) -> float:
    return sorted(amounts)[-(len(amounts) - int(-(-len(amounts) * REVENUE_QUANTILE // 1))) - 1]


@given(st.lists(st.floats(1e-6, 1e31), min_size=REVENUE_PURCHASES_MIN, max_size=REVENUE_PURCHASES_MIN))
def test_the_limit_is_three_times_the_quantile_within_5_percent(amounts: list[float]) -> None:
    usual = Usual()
    for amount in amounts[:-1]:
        usual.add(amount)
        assert usual.limit == inf
    usual.add(amounts[-1])
    assert usual.limit / REVENUE_FACTOR == pytest.approx(quantile(amounts), rel=0.05)


def test_the_limit_follows_what_is_usual() -> None:
    usual, chance = Usual(), random.Random(5)
    for level in (100, 1_000, 50):
        amounts = [chance.lognormvariate(0, 0.5) * level for _ in range(10 * MEMORY)]
        for amount in amounts:
            usual.add(amount)
        assert usual.limit / REVENUE_FACTOR == pytest.approx(quantile(amounts), rel=0.15)


def test_absurd_amounts_do_not_move_it() -> None:
    usual = Usual()
    for number in range(1_000):
        usual.add(100 + number % 50)
        if number % 200 == 0:
            usual.add(1e31)
    assert usual.limit < 500


def test_it_is_bounded_whatever_comes() -> None:
    usual = Usual()
    for number in range(30_000):
        usual.add(1.12 ** (number % 700 - 100))
        assert len(usual._buckets) <= BUCKETS_MAX


def test_orders_and_currencies_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purchases, "ORDERS_MAX", 60)
    monkeypatch.setattr(purchases, "CURRENCIES_MAX", 70)
    bought = Purchases()
    for n in range(500):
        bought.judge([purchase(n, tenant_id=n)], [True], 0, defaultdict(list))
    assert len(bought._orders) <= 60
    assert len(bought._usual) <= 70


def test_long_names_are_remembered_by_their_digest() -> None:
    """A public producer may send an order id of 32 KiB; 50,000 of them would be 1.6 GB."""
    bought = Purchases()
    long = {"order_id": "o" * 32_000, "product_ids": ("p" * 32_000,) * 7}
    other = long | {"product_ids": ("p" * 32_000,) * 6}
    reasons: Reasons = defaultdict(list)
    bought.judge([purchase(0, **long), purchase(1, **other)], [True] * 2, 0, reasons)
    assert reasons == {}
    bought.judge([purchase(2, **long, value="101.000000")], [True], 0, reasons)
    assert reasons == {0: ["order_repeated"]}
    assert len(bought._orders) == 2
    assert all(len(part) < 200 for key in bought._orders._young for part in key if not isinstance(part, int))


async def test_addresses_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(velocity, "SEEN_MAX", 100)
    counted = Velocity(MemoryKeys())
    for n in range(50):
        events = [
            event(n, ip=f"203.0.{n}.{m}", ip_source="event", person_id=str(UUID(int=m))) for m in range(20)
        ]
        await counted.judge(events, addressed(events), 0, defaultdict(list))
        assert 0 < sum(map(len, counted._seen.values())) <= 2 * (100 + 20)


def test_a_backfill_of_many_minutes_is_bounded() -> None:
    """A minute takes memory of its own, whatever it holds."""
    seen = Minutes(1_000)
    for n in range(5_000):
        seen.turn()
        seen.count((1, n), ["203.0.113.9"], 0, 1)
    assert len(seen._young) + len(seen._old) <= 1_000 / MINUTE_ENTRIES


@given(st.lists(st.tuples(st.integers(0, 1), st.lists(keys, min_size=1)), max_size=30), st.integers(2, 40))
def test_who_is_met_again_and_again_is_counted_on(batches: list[tuple[int, list[int]]], size: int) -> None:
    """What is forgotten begins anew; what is met in each batch is never forgotten."""
    seen, exact = Minutes(size), Counter[tuple[int, str]]()
    for window, met in batches:
        seen.turn()
        names = [*map(str, met), "always"]
        exact.update((window, name) for name in names)
        exact[1 - window, "always"] += 1
        counts = seen.count((1, window), names, 0, 1)
        others = seen.count((1, 1 - window), ["always"], 0, 1)
        assert (counts["always"], others["always"]) == (exact[window, "always"], exact[1 - window, "always"])
        assert all(0 < counts[name] <= exact[window, name] for name in names)


def test_only_who_does_much_is_told() -> None:
    seen = Minutes(1_000)
    assert seen.count((1, 1), ["a", "b", "a"], 0, 2) == {"a": 2}
    assert seen.count((2, 1), ["a"], 0, 2) == {}  # of another tenant
    assert seen.count((1, 1), ["a", "b"], 1, 2) == {"a": 2, "b": 2}  # the first was counted before


def test_the_table_of_currencies_names_what_exists() -> None:
    listed = {currency for currency, _ in tender._PAIRS}
    assert listed - set(currencies.CODES) == set()
    assert {country for _, country in tender._PAIRS if len(country) != 2 or not country.isupper()} == set()
    assert not any(currency[:2] == country for currency, country in tender._PAIRS)


@pytest.mark.parametrize(
    ("currency", "country"),
    [("MXN", "MX"), ("HNL", "HN"), ("USD", "US"), ("USD", "EC"), ("EUR", "ES"), ("EUR", "BG"), ("XOF", "SN")],
)
def test_countries_pay_in_their_money(currency: str, country: str) -> None:
    assert is_tender(currency, country)
    assert not is_tender(currency, "JP")
