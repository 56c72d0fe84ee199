"""What the registry promises about saved segments, on every database."""

import pytest

from schemas.tenants import Tenant
from stores.registry import EntryRefused, SqlRegistry

CONDITIONS = '{"event":"ü \\" %s :name"}'


class SegmentContract:
    async def test_a_segment_is_kept_as_it_was(self, registry: SqlRegistry, shop: Tenant) -> None:
        made = await registry.add_segment(shop.id, " Buyers é ", CONDITIONS)
        assert (made.tenant_id, made.name, made.conditions) == (shop.id, "Buyers é", CONDITIONS)
        assert made.created_at == made.updated_at > 1_700_000_000_000
        assert await registry.segment(shop.id, made.segment_id) == made
        other = await registry.add_segment(shop.id, "Anyone", "{}")
        assert await registry.list_segments(shop.id) == [other, made]

    async def test_a_segment_is_replaced_and_removed(self, registry: SqlRegistry, shop: Tenant) -> None:
        made = await registry.add_segment(shop.id, "Buyers", "{}")
        assert await registry.replace_segment(shop.id, made.segment_id, "Readers", CONDITIONS)
        found = await registry.segment(shop.id, made.segment_id)
        assert found is not None
        assert (found.name, found.conditions, found.created_at) == ("Readers", CONDITIONS, made.created_at)
        assert found.updated_at >= made.updated_at
        assert await registry.remove_segment(shop.id, made.segment_id)
        assert await registry.segment(shop.id, made.segment_id) is None
        assert not await registry.remove_segment(shop.id, made.segment_id)
        assert not await registry.replace_segment(shop.id, made.segment_id, "Readers", "{}")
        assert await registry.list_segments(shop.id) == []

    async def test_a_name_is_taken_within_its_tenant(
        self, registry: SqlRegistry, shop: Tenant, rival: Tenant
    ) -> None:
        await registry.add_segment(shop.id, "Buyers", "{}")
        other = await registry.add_segment(shop.id, "Readers", "{}")
        with pytest.raises(EntryRefused, match="another segment of this name: choose another name"):
            await registry.add_segment(shop.id, "Buyers ", "{}")
        with pytest.raises(EntryRefused, match="choose another name"):
            await registry.replace_segment(shop.id, other.segment_id, "Buyers", "{}")
        assert await registry.replace_segment(shop.id, other.segment_id, "Readers", CONDITIONS)
        await registry.add_segment(rival.id, "Buyers", "{}")
        for name in ("", "  ", "x" * 201, "a\0b"):
            with pytest.raises(EntryRefused, match="1 to 200 characters"):
                await registry.add_segment(shop.id, name, "{}")
        with pytest.raises(EntryRefused, match="no tenant"):
            await registry.add_segment(10**6, "Buyers", "{}")

    async def test_a_segment_is_its_tenants_own(
        self, registry: SqlRegistry, shop: Tenant, rival: Tenant
    ) -> None:
        made = await registry.add_segment(shop.id, "Buyers", "{}")
        assert await registry.segment(rival.id, made.segment_id) is None
        assert not await registry.replace_segment(rival.id, made.segment_id, "Mine", "{}")
        assert not await registry.remove_segment(rival.id, made.segment_id)
        assert await registry.list_segments(rival.id) == []
        assert await registry.list_segments(shop.id) == [made]
        assert await registry.segment(shop.id, "' OR 1=1 --") is None
