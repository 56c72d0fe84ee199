"""What the registry promises about automation filters and their deliveries, on every database."""

import asyncio
import time
from typing import Any
from uuid import uuid4

import pytest

from schemas.tenants import Tenant
from stores.registry import Delivery, Ended, EntryRefused, Filter, NewDelivery, SqlRegistry
from stores.registry.deliveries import State

CONDITIONS = '{"event":"ü \\" %s :name"}'
URL = "https://hooks.example/?a=:b"
HOUR_MS = 3_600_000


def new(filter_: Filter, body: str = '{"é":":x %s"}') -> NewDelivery:
    return NewDelivery(str(uuid4()), filter_.filter_id, body)


async def hooked(registry: SqlRegistry, tenant: Tenant, name: str = "Hooked") -> Filter:
    return await registry.add_filter(tenant.id, name, CONDITIONS, url=URL)


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


async def states(registry: SqlRegistry, tenant: Tenant) -> dict[str, str]:
    return {one.match_id: one.state for one in await registry.list_deliveries(tenant.id)}


class FilterContract:
    async def test_a_filter_is_kept_as_it_was(self, registry: SqlRegistry, shop: Tenant) -> None:
        made = await registry.add_filter(shop.id, " Orders é ", CONDITIONS, url=URL)
        assert (made.tenant_id, made.name, made.conditions, made.url) == (
            shop.id,
            "Orders é",
            CONDITIONS,
            URL,
        )
        assert made.active
        assert made.secret.startswith("pk_webhook_")
        assert made.created_at == made.updated_at > 1_700_000_000_000
        assert await registry.filter(shop.id, made.filter_id) == made
        assert await registry.filter(shop.id, made.filter_id.upper()) == made
        other = await registry.add_filter(shop.id, "Any", "{}")
        assert (other.url, other.secret) == ("", "")
        assert await registry.list_filters(shop.id) == [other, made]

    async def test_a_filter_is_replaced_and_removed(self, registry: SqlRegistry, shop: Tenant) -> None:
        made = await hooked(registry, shop)
        id = made.filter_id
        changed = await registry.replace_filter(shop.id, id, "Other", "{}", url=URL + "2", active=False)
        assert changed is not None
        assert (changed.name, changed.conditions, changed.url, changed.active) == (
            "Other",
            "{}",
            URL + "2",
            False,
        )
        assert (changed.secret, changed.created_at) == (made.secret, made.created_at)
        fresh = await registry.replace_filter(shop.id, id, "Other", "{}", url=URL, fresh=True)
        assert fresh is not None
        assert fresh.secret not in ("", made.secret)
        bare = await registry.replace_filter(shop.id, id, "Other", "{}")
        assert bare is not None
        assert (bare.url, bare.secret) == ("", "")
        again = await registry.replace_filter(shop.id, id, "Other", "{}", url=URL)
        assert again is not None
        assert again.secret
        assert await registry.remove_filter(shop.id, id)
        assert await registry.filter(shop.id, id) is None
        assert not await registry.remove_filter(shop.id, id)
        assert await registry.replace_filter(shop.id, id, "Other", "{}") is None

    async def test_a_filter_is_its_tenants_own(
        self, registry: SqlRegistry, shop: Tenant, rival: Tenant
    ) -> None:
        made = await hooked(registry, shop)
        id = made.filter_id
        assert await registry.filter(rival.id, id) is None
        assert await registry.replace_filter(rival.id, id, "Mine", "{}") is None
        assert not await registry.remove_filter(rival.id, id)
        assert await registry.list_filters(rival.id) == []
        await hooked(registry, rival)
        with pytest.raises(EntryRefused, match="choose another name"):
            await hooked(registry, shop)
        for nobody in ("' OR 1=1 --", "", "7f0f3c0e-0d0c-4a3e-9b1a-5a5f0c1d2e3f"):
            assert await registry.filter(shop.id, nobody) is None
            assert not await registry.remove_filter(shop.id, nobody)

    async def test_filters_in_force(self, registry: SqlRegistry, shop: Tenant, rival: Tenant) -> None:
        on = await hooked(registry, shop)
        await registry.add_filter(shop.id, "Off", "{}", active=False)
        other = await registry.add_filter(rival.id, "On", "{}")
        assert await registry.active_filters([shop.id, 10**6]) == [on]
        found = await registry.active_filters([shop.id, rival.id])
        assert sorted(one.filter_id for one in found) == sorted((on.filter_id, other.filter_id))


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

    async def test_a_filter_that_is_off_sends_nothing(self, registry: SqlRegistry, shop: Tenant) -> None:
        filter_ = await hooked(registry, shop)
        await take(registry, new(filter_))
        await registry.replace_filter(shop.id, filter_.filter_id, "Hooked", "{}", url=URL, active=False)
        assert await registry.due_filters() == []
        await registry.replace_filter(shop.id, filter_.filter_id, "Hooked", "{}", url=URL)
        assert len(await registry.due_filters()) == 1
