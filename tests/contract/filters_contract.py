"""What the registry promises about automation filters, on every database."""

import pytest

from schemas.tenants import Tenant
from stores.registry import (
    EntryRefused,
    Filter,
    SqlRegistry,
)

CONDITIONS = '{"event":"ü \\" %s :name"}'
URL = "https://hooks.example/?a=:b"


async def hooked(registry: SqlRegistry, tenant: Tenant, name: str = "Hooked") -> Filter:
    return await registry.add_filter(tenant.id, name, CONDITIONS, url=URL)


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
        with pytest.raises(EntryRefused, match="another filter of this name: choose another name"):
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
