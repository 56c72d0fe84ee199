"""What the registry promises about the deliveries of filters' matches, on every database."""

import asyncio
import re
import time
from typing import Any
from uuid import uuid4

import pytest
from msgspec import structs

from schemas.erasures import Subject
from schemas.persons import identifier
from schemas.tenants import Tenant
from stores.registry import (
    Delivery,
    Ended,
    Filter,
    LeaseLost,
    NewDelivery,
    SqlRegistry,
    undelivered,
)
from stores.registry.deliveries import State
from tests.contract.filters_contract import URL, hooked
from tests.contract.registry_statements import plan_of, statements

HOUR_MS = 3_600_000


def new(filter_: Filter, body: str = '{"é":":x %s"}') -> NewDelivery:
    return NewDelivery(str(uuid4()), filter_.filter_id, body)


async def take(registry: SqlRegistry, *batch: NewDelivery, for_ms: int = HOUR_MS) -> int:
    return await registry.take_deliveries(batch, keep_trying_ms=for_ms)


async def claim(
    registry: SqlRegistry, filter_: Filter, count: int = 10, lease_ms: int = 60_000
) -> list[Delivery]:
    return list(await registry.claim_deliveries(filter_.filter_id, count=count, lease_ms=lease_ms))


async def end(registry: SqlRegistry, delivery: Delivery, state: State, **told: Any) -> bool:
    return await registry.end_deliveries([Ended(delivery, state, **told)]) == 1


async def replay(registry: SqlRegistry, tenant: Tenant, **chosen: str) -> int:
    return await registry.replay_deliveries(tenant.id, keep_trying_ms=HOUR_MS, **chosen)


async def erasing(registry: SqlRegistry, tenant: Tenant) -> str:
    named = identifier(tenant.id, "relo", "email", "ann@example.com")
    subject = Subject(tenant.id, "relo", (), (named,))
    made = await registry.request_erasure(subject, asked_by="ops", found={})
    assert await registry.lease_erasure(made.erasure_id, "me", 60_000) is not None
    return made.erasure_id


async def states(registry: SqlRegistry, tenant: Tenant) -> dict[str, str]:
    return {one.match_id: one.state for one in await registry.list_deliveries(tenant.id)}


class DeliveryContract:
    async def test_each_id_is_taken_once(self, registry: SqlRegistry, shop: Tenant) -> None:
        filter_ = await hooked(registry, shop)
        first, second = new(filter_), new(filter_)
        assert await take(registry, first, first, second) == 2
        assert await take(registry, second, first) == 0
        assert await states(registry, shop) == {first.match_id: "waiting", second.match_id: "waiting"}
        assert await registry.waiting_deliveries() == (2, 0)
        assert await take(registry) == 0

    async def test_many_take_the_same_at_once(self, registry: SqlRegistry, shop: Tenant) -> None:
        filter_ = await hooked(registry, shop)
        batch = [new(filter_) for _ in range(50)]
        taken = await asyncio.gather(*(take(registry, *batch[::step]) for step in (1, -1, 1, -1)))
        assert sum(taken) == 50

    async def test_only_what_a_filter_with_a_url_waits_for(self, registry: SqlRegistry, shop: Tenant) -> None:
        bare = await registry.add_filter(shop.id, "Bare", "{}")
        off = await registry.add_filter(shop.id, "Off", "{}", url=URL, active=False)
        gone = await hooked(registry, shop)
        await registry.remove_filter(shop.id, gone.filter_id)
        assert await take(registry, new(bare), new(off), new(gone)) == 0

    async def test_a_claimed_one_is_nobody_elses(self, registry: SqlRegistry, shop: Tenant) -> None:
        filter_ = await hooked(registry, shop)
        due = new(filter_)
        await take(registry, due)
        [at] = await registry.due_filters()
        assert (at.filter_id, at.tenant_id, at.url, at.secret) == (
            filter_.filter_id,
            shop.id,
            URL,
            filter_.secret,
        )
        [claimed] = await claim(registry, filter_)
        assert (claimed.match_id, claimed.body, claimed.attempts) == (due.match_id, due.body, 0)
        assert await claim(registry, filter_) == []
        assert await registry.due_filters() == []

    async def test_many_claim_at_once(self, registry: SqlRegistry, shop: Tenant) -> None:
        filter_ = await hooked(registry, shop)
        await take(registry, *(new(filter_) for _ in range(40)))
        claimed = await asyncio.gather(*(claim(registry, filter_) for _ in range(6)))
        ids = [one.match_id for some in claimed for one in some]
        assert len(ids) == len(set(ids)) == 40

    async def test_a_claim_that_ended_is_taken_over(self, registry: SqlRegistry, shop: Tenant) -> None:
        filter_ = await hooked(registry, shop)
        await take(registry, new(filter_))
        [old] = await claim(registry, filter_, lease_ms=-1)
        [taken_over] = await claim(registry, filter_)
        assert taken_over.claim != old.claim
        assert not await end(registry, old, "waiting", status=500)
        assert not await end(registry, old, "dead", status=500)
        assert await end(registry, old, "delivered", status=200)
        assert not await end(registry, taken_over, "waiting", status=500)
        assert list((await states(registry, shop)).values()) == ["delivered"]

    async def test_how_an_attempt_ends(self, registry: SqlRegistry, shop: Tenant) -> None:
        filter_ = await hooked(registry, shop)
        await take(registry, new(filter_), new(filter_), new(filter_))
        done, again, dead = await claim(registry, filter_)
        now = int(time.time() * 1000)
        await end(registry, done, "delivered", status=204)
        await end(registry, again, "waiting", status=503, reason="busy", due_at=now + HOUR_MS)
        await end(registry, dead, "dead", status=410, reason="gone")
        found = {one.match_id: one for one in await registry.list_deliveries(shop.id)}
        assert (found[done.match_id].state, found[done.match_id].body) == ("delivered", "")
        assert found[done.match_id].ended_at is not None
        waits = found[again.match_id]
        assert (waits.state, waits.attempts, waits.status, waits.reason) == ("waiting", 1, 503, "busy")
        assert waits.due_at == now + HOUR_MS
        assert (found[dead.match_id].state, found[dead.match_id].body) == ("dead", dead.body)
        assert await registry.waiting_deliveries() == (1, 1)
        assert await claim(registry, filter_) == []
        # What came to an end is never taken again.
        ids = (done.match_id, again.match_id, dead.match_id)
        assert await take(registry, *(NewDelivery(id, filter_.filter_id, "{}") for id in ids)) == 0

    async def test_the_dead_are_replayed(self, registry: SqlRegistry, shop: Tenant, rival: Tenant) -> None:
        filter_, other = await hooked(registry, shop), await hooked(registry, shop, "Other")
        await take(registry, new(filter_), new(filter_), new(other))
        for one in [*await claim(registry, filter_), *await claim(registry, other)]:
            await end(registry, one, "dead", status=410, reason="gone")
        assert await replay(registry, rival) == 0
        assert await replay(registry, shop, match_id="nobody") == 0
        assert await replay(registry, shop, filter_id=other.filter_id) == 1
        first = (await registry.list_deliveries(shop.id, filter_id=filter_.filter_id, state="dead"))[0]
        assert await replay(registry, shop, match_id=first.match_id) == 1
        [again] = await claim(registry, filter_)
        assert (again.match_id, again.attempts, again.ended_at, again.body) == (
            first.match_id,
            0,
            None,
            first.body,
        )
        assert await replay(registry, shop) == 1

    async def test_what_is_erased_is_never_sent(
        self, registry: SqlRegistry, shop: Tenant, rival: Tenant
    ) -> None:
        filter_, other = await hooked(registry, shop), await hooked(registry, rival)
        batch = [new(filter_, f'"{n}"') for n in range(5)]
        theirs = new(other)
        await take(registry, *batch, theirs)
        done, dead, under_way, *_ = await claim(registry, filter_, 3)
        await end(registry, done, "delivered", status=200)
        await end(registry, dead, "dead", status=410, reason="gone")
        erasure_id = await erasing(registry, shop)
        gone = [done.match_id, dead.match_id, under_way.match_id]
        assert await registry.erase_deliveries(erasure_id, "me", gone) == 2
        assert await registry.erase_deliveries(erasure_id, "me", gone) == 0
        with pytest.raises(LeaseLost):
            await registry.erase_deliveries(erasure_id, "other", [batch[3].match_id])
        assert not await end(registry, under_way, "waiting", status=500)
        assert not await end(registry, under_way, "delivered", status=200)
        found = {one.match_id: one for one in await registry.list_deliveries(shop.id)}
        for one in (dead, under_way):
            erased = found.pop(one.match_id)
            assert (erased.state, erased.reason, erased.body) == ("erased", erasure_id, "")
            assert erased.ended_at is not None
        assert sorted(one.state for one in found.values()) == ["delivered", "waiting", "waiting"]
        assert await replay(registry, shop) == 0
        assert len(await claim(registry, filter_)) == 2
        assert await registry.waiting_deliveries() == (3, 0)
        assert await states(registry, rival) == {theirs.match_id: "waiting"}
        assert await take(registry, *batch) == 0
        made = await registry.erasure(erasure_id)
        assert made is not None
        assert made.progress.deliveries == 2

    async def test_who_was_erased_before_is_only_noted(self, registry: SqlRegistry, shop: Tenant) -> None:
        filter_ = await hooked(registry, shop)
        one, other = new(filter_), new(filter_)
        assert await take(registry, structs.replace(one, suppressed=True), other) == 2
        found = {each.match_id: each for each in await registry.list_deliveries(shop.id)}
        noted = found[one.match_id]
        assert (noted.state, noted.reason, noted.body) == ("erased", "suppressed", "")
        assert noted.ended_at == noted.created_at
        assert (found[other.match_id].state, found[other.match_id].ended_at) == ("waiting", None)
        assert [each.match_id for each in await claim(registry, filter_)] == [other.match_id]
        assert await take(registry, one) == 0
        await registry.sweep_deliveries(keep_ms=-1)
        assert await states(registry, shop) == {other.match_id: "waiting"}

    async def test_what_has_a_body_is_shown_page_by_page(
        self, registry: SqlRegistry, shop: Tenant, rival: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(undelivered, "PAGE_ROWS", 3)
        filter_, second = await hooked(registry, shop), await hooked(registry, shop, "Second")
        batch = [new(filter_) for _ in range(10)] + [new(second) for _ in range(4)]
        await take(registry, *batch, new(await hooked(registry, rival)))
        done, *dead = await claim(registry, filter_, 5)
        await end(registry, done, "delivered", status=200)
        for one in dead:
            await end(registry, one, "dead", status=410, reason="gone")
        pages = [page async for page in registry.undelivered(shop.id)]
        assert all(0 < len(page) <= 3 for page in pages)
        shown = [one.match_id for page in pages for one in page]
        assert len(shown) == len(set(shown)) == 13
        assert set(shown) == {one.match_id for one in batch} - {done.match_id}

    async def test_what_is_late_dies_and_what_is_old_goes(self, registry: SqlRegistry, shop: Tenant) -> None:
        filter_ = await hooked(registry, shop)
        done, late, waits = new(filter_), new(filter_), new(filter_)
        await take(registry, done)
        [ended] = await claim(registry, filter_)
        await end(registry, ended, "delivered", status=200)
        await take(registry, late, for_ms=-1)
        await take(registry, waits)
        assert await registry.sweep_deliveries(keep_ms=HOUR_MS) == (1, 0)
        assert await states(registry, shop) == {
            done.match_id: "delivered",
            late.match_id: "dead",
            waits.match_id: "waiting",
        }
        assert await registry.sweep_deliveries(keep_ms=-1) == (0, 2)
        assert await states(registry, shop) == {waits.match_id: "waiting"}

    async def test_deliveries_go_with_their_filter(
        self, registry: SqlRegistry, shop: Tenant, rival: Tenant
    ) -> None:
        filter_, other = await hooked(registry, shop), await hooked(registry, rival)
        await take(registry, new(filter_), new(other))
        assert await registry.list_deliveries(shop.id, filter_id="' OR 1=1 --") == []
        assert len(await registry.list_deliveries(shop.id)) == 1
        await registry.remove_filter(shop.id, filter_.filter_id)
        assert await registry.list_deliveries(shop.id) == []
        assert len(await registry.list_deliveries(rival.id)) == 1

    async def test_the_newest_are_found_by_an_index(
        self, registry: SqlRegistry, shop: Tenant, rival: Tenant
    ) -> None:
        """However many deliveries other tenants have, and this one had before."""
        filter_, other = await hooked(registry, shop), await hooked(registry, rival)
        batches = [[new(filter_), new(other), new(filter_)] for _ in range(3)]
        for batch in batches:
            await take(registry, *batch)
        with statements(registry) as told:
            found = await registry.list_deliveries(shop.id, limit=4)
        assert found == sorted(found, key=lambda one: (one.created_at, one.match_id), reverse=True)
        assert {one.match_id for one in found} <= {one.match_id for batch in batches for one in batch[::2]}
        plan = await plan_of(registry, told[-1])
        assert "ix_deliveries_tenant_id" in plan
        assert not re.search("sort|b-tree", plan, re.IGNORECASE)

    async def test_none_stays_behind_a_filter_that_goes(self, registry: SqlRegistry, shop: Tenant) -> None:
        """Nobody would look for it there: no worker, and no erasure."""
        for number in range(20):
            filter_ = await hooked(registry, shop, f"Filter {number}")
            batches = [[new(filter_) for _ in range(20)] for _ in range(3)]
            first, *others = (take(registry, *batch) for batch in batches)
            await asyncio.gather(first, registry.remove_filter(shop.id, filter_.filter_id), *others)
        assert await registry.list_deliveries(shop.id) == []

    async def test_a_filter_that_is_off_sends_nothing(self, registry: SqlRegistry, shop: Tenant) -> None:
        filter_ = await hooked(registry, shop)
        await take(registry, new(filter_))
        await registry.replace_filter(shop.id, filter_.filter_id, "Hooked", "{}", url=URL, active=False)
        assert await registry.due_filters() == []
        await registry.replace_filter(shop.id, filter_.filter_id, "Hooked", "{}", url=URL)
        assert len(await registry.due_filters()) == 1
