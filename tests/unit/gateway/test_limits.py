"""Rates: what is counted together, whose limit is in force, and what a refusal says."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from dialects.base import Rate
from gateway.errors import RequestRefused
from gateway.limits import BAD_ATTEMPTS, STORED_REJECTS, Limiter
from gateway.metrics import Metrics
from schemas.settings import Settings
from schemas.tenants import Tenant, TenantSettings
from stores.base import Limit, Permit, StoreUnavailable
from stores.keys import MemoryKeys, open_keys
from tests.unit.gateway.rig import TENANT, token

TWICE = Rate("g", requests=2, period_s=60, per=("token",))


class BrokenKeys(MemoryKeys):
    """A key store that is down."""

    async def take(self, limits: Sequence[Limit]) -> Permit:
        raise StoreUnavailable("down")


@pytest.fixture
def limiter() -> Limiter:
    return Limiter(MemoryKeys(), Metrics())


async def taken(limiter: Limiter, rate: Rate, **who: object) -> int:
    """Return how many requests pass until one is refused."""
    for passed in range(1000):
        try:
            await limiter.take((rate,), **{"ip": "192.0.2.1", **who})  # type: ignore[arg-type]
        except RequestRefused:
            return passed
    return 1000


async def test_without_a_rate_there_is_no_limit(limiter: Limiter) -> None:
    assert await limiter.take((), ip="") == ()


async def test_a_refusal_says_when_to_come_back(limiter: Limiter) -> None:
    assert await taken(limiter, TWICE, token=token("relo")) == 2
    with pytest.raises(RequestRefused) as caught:
        await limiter.take((TWICE,), ip="", token=token("relo"))
    problem, headers = caught.value.problem, dict(caught.value.headers)
    assert (problem.status, problem.code) == (429, "rate_limited")
    assert problem.retry_after_s is not None
    assert 1 <= problem.retry_after_s <= 30
    assert headers["RateLimit-Limit"] == "2"
    assert headers["RateLimit-Remaining"] == "0"
    assert 1 <= int(headers["RateLimit-Reset"]) <= 60


async def test_what_is_left_is_told(limiter: Limiter) -> None:
    headers = dict(await limiter.take((TWICE,), ip="", token=token("relo")))
    assert (headers["RateLimit-Limit"], headers["RateLimit-Remaining"]) == ("2", "1")


@pytest.mark.parametrize(
    ("per", "same"),
    [
        (("token",), [False, True, True, False]),
        (("ip",), [True, False, False, True]),
        (("token", "ip"), [False, False, False, False]),
        (("tenant",), [True, True, True, True]),
    ],
)
async def test_what_is_counted_together(limiter: Limiter, per: tuple[str, ...], same: list[bool]) -> None:
    rate = replace(TWICE, per=per)  # type: ignore[arg-type]
    who = {"token": token("relo"), "ip": "192.0.2.1", "tenant": TENANT}
    assert await taken(limiter, rate, **who) == 2
    others = [
        {**who, "token": token("alana")},
        {**who, "ip": "192.0.2.2"},
        {**who, "ip": "2001:db8::1"},
        {**who, "token": token("redo")},
    ]
    assert [await taken(limiter, rate, **other) == 0 for other in others] == same


async def test_a_store_is_counted_within_its_tenant(limiter: Limiter) -> None:
    rate = replace(TWICE, per=("store",))
    other = msgspec.structs.replace(TENANT, id=9)
    assert await taken(limiter, rate, token=token("redo", store="s")) == 2
    assert await taken(limiter, rate, token=token("redo", store="t")) == 2
    assert await taken(limiter, rate, token=token("redo", store="s", tenant=other)) == 2
    assert await taken(limiter, rate, token=token("redo", store="s")) == 0


async def test_unknown_tenants_share_a_bucket_per_address(limiter: Limiter) -> None:
    rate = replace(TWICE, per=("tenant",))
    assert await taken(limiter, rate) == 2
    assert await taken(limiter, rate) == 0
    assert await taken(limiter, rate, ip="192.0.2.2") == 2
    assert await taken(limiter, rate, tenant=TENANT) == 2


async def test_an_ipv6_customer_is_one_address(limiter: Limiter) -> None:
    rate = replace(TWICE, per=("ip",))
    assert await taken(limiter, rate, ip="2001:db8::1") == 2
    assert await taken(limiter, rate, ip="2001:db8::2") == 0


async def test_tokens_and_tenants_may_have_their_own_limits(limiter: Limiter) -> None:
    settings = TenantSettings(limits={"g": 3, "other": 50})
    tenant: Tenant = msgspec.structs.replace(TENANT, settings=settings)
    plain = token("relo", tenant=tenant)
    own = msgspec.structs.replace(plain, key_id="own", limits={"g": 5})
    assert await taken(limiter, TWICE, token=plain, tenant=tenant) == 3
    assert await taken(limiter, TWICE, token=own, tenant=tenant) == 5


async def test_a_request_that_one_rate_refuses_costs_nothing_of_the_others(limiter: Limiter) -> None:
    wide, narrow = replace(TWICE, group="w", requests=3), replace(TWICE, group="n", requests=1, per=("ip",))
    sender = token("relo")
    await limiter.take((wide, narrow), ip="192.0.2.1", token=sender)
    for _ in range(5):
        with pytest.raises(RequestRefused):
            await limiter.take((wide, narrow), ip="192.0.2.1", token=sender)
    assert await taken(limiter, wide, token=sender) == 2


async def test_without_the_key_store_a_process_decides_alone() -> None:
    metrics = Metrics()
    limiter = Limiter(BrokenKeys(), metrics)
    assert await taken(limiter, TWICE, token=token("relo")) == 2
    assert metrics.registry.get_sample_value("penstock_gateway_limits_alone_total") == 3


async def test_the_shared_store_says_when_it_was_left_out(unused_port: int) -> None:
    metrics = Metrics()
    async with open_keys(Settings(keys_url=f"redis://127.0.0.1:{unused_port}/0")) as keys:
        limiter = Limiter(keys, metrics)
        assert await taken(limiter, TWICE, token=token("relo")) == 2
    assert metrics.registry.get_sample_value("penstock_gateway_limits_alone_total") == 3


async def test_bad_attempts_and_rejects_have_limits_of_their_own(limiter: Limiter) -> None:
    for _ in range(BAD_ATTEMPTS):
        await limiter.take_bad_attempt("192.0.2.1")
    with pytest.raises(RequestRefused, match="rate_limited"):
        await limiter.take_bad_attempt("192.0.2.1")
    await limiter.take_bad_attempt("192.0.2.2")
    stored = [await limiter.may_store_reject("192.0.2.1") for _ in range(STORED_REJECTS + 5)]
    assert stored == [True] * STORED_REJECTS + [False] * 5
