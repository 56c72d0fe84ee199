"""What the registry promises on every database. A backend's test file gives the fixture `settings`."""

from collections.abc import AsyncIterator

import pytest

from schemas.settings import Settings
from schemas.tenants import Tenant, TenantRef, TenantSettings
from stores.registry import EntryRefused, SqlRegistry, open_registry
from stores.registry.demo import SECRETS, has_demo, seed_demo
from stores.registry.tokens import secret_sha256
from tests.contract.deliveries_contract import DeliveryContract
from tests.contract.erasures_contract import ErasureContract
from tests.contract.event_keys_contract import EventKeyContract
from tests.contract.filters_contract import FilterContract
from tests.contract.segments_contract import SegmentContract
from tests.contract.tokens_contract import TokenContract

UUID = "7f0f3c0e-0d0c-4a3e-9b1a-5a5f0c1d2e3f"
NAMELESS = [
    *("", " ", "0", "-1", "+1", "01", "1 ", "1.0", "٣", "9" * 30, "99999999999999999999", "\0", "a\0b"),
    *("A", "-a", "a-", "a_b", "a" * 64, "é", "x' OR '1'='1", UUID[:-1], f"{{{UUID}}}", UUID.replace("-", "")),
]


@pytest.fixture
async def registry(settings: Settings) -> AsyncIterator[SqlRegistry]:
    async with open_registry(settings) as registry:
        yield registry


@pytest.fixture
async def shop(registry: SqlRegistry) -> Tenant:
    return await registry.add_tenant("shop", "Shop")


@pytest.fixture
async def rival(registry: SqlRegistry, shop: Tenant) -> Tenant:
    return await registry.add_tenant("rival", "Rival")


class TenantContract:
    async def test_a_tenant_is_found_by_every_name(self, registry: SqlRegistry) -> None:
        tenant = await registry.add_tenant("mi-negocio", " Mi Negocio ", uuid=UUID.upper(), id=7)
        assert tenant == Tenant(7, UUID, "mi-negocio", "Mi Negocio", True, TenantSettings())
        for name in ("7", "mi-negocio", UUID, UUID.upper()):
            assert await registry.tenant(TenantRef("any", name)) == tenant
        for ref in (TenantRef("id", "7"), TenantRef("slug", "mi-negocio")):
            assert await registry.tenant(ref) == tenant
        for ref in (TenantRef("id", "mi-negocio"), TenantRef("id", UUID), TenantRef("slug", "7")):
            assert await registry.tenant(ref) is None
        for ref in (TenantRef("slug", UUID), TenantRef("any", "8")):
            assert await registry.tenant(ref) is None

    @pytest.mark.parametrize("value", NAMELESS)
    async def test_what_names_no_tenant_is_no_error(self, registry: SqlRegistry, value: str) -> None:
        for by in ("id", "slug", "any"):
            assert await registry.tenant(TenantRef(by, value)) is None

    async def test_some_are_found_in_one_call(
        self, registry: SqlRegistry, shop: Tenant, rival: Tenant
    ) -> None:
        refs = [
            TenantRef("any", str(shop.id)),
            TenantRef("id", str(shop.id)),
            TenantRef("any", shop.uuid.upper()),
            TenantRef("slug", "rival"),
            TenantRef("slug", "nobody"),
            *(TenantRef("any", value) for value in NAMELESS),
        ]
        assert await registry.find_tenants(refs) == dict(zip(refs, (shop, shop, shop, rival), strict=False))
        assert await registry.find_tenants([]) == {}

    async def test_ids_go_up_from_the_highest(self, registry: SqlRegistry) -> None:
        assert (await registry.add_tenant("first", "First", id=1)).id == 1
        assert (await registry.add_tenant("second", "Second")).id == 2
        assert (await registry.add_tenant("tenth", "Tenth", id=10)).id == 10
        assert (await registry.add_tenant("next", "Next")).id == 11
        assert [tenant.id for tenant in await registry.list_tenants()] == [1, 2, 10, 11]

    async def test_a_name_belongs_to_one_tenant(self, registry: SqlRegistry) -> None:
        await registry.add_tenant("shop", "Shop", uuid=UUID, id=3)
        with pytest.raises(EntryRefused, match="slug 'shop' is taken"):
            await registry.add_tenant("shop", "Other")
        with pytest.raises(EntryRefused, match=f"UUID {UUID} is taken"):
            await registry.add_tenant("other", "Other", uuid=UUID)
        with pytest.raises(EntryRefused, match="id 3 is taken"):
            await registry.add_tenant("other", "Other", id=3)
        assert len(await registry.list_tenants()) == 1

    @pytest.mark.parametrize("slug", ["", "Shop", "a_b", "-a", "a-", "7", "0", UUID, "a" * 64, "é", "a\n"])
    async def test_a_slug_has_a_shape(self, registry: SqlRegistry, slug: str) -> None:
        with pytest.raises(EntryRefused, match="slug"):
            await registry.add_tenant(slug, "Shop")

    async def test_other_entries_have_a_shape(self, registry: SqlRegistry) -> None:
        with pytest.raises(EntryRefused, match="UUID"):
            await registry.add_tenant("shop", "Shop", uuid="7f0f")
        with pytest.raises(EntryRefused, match="id"):
            await registry.add_tenant("shop", "Shop", id=0)
        for name in ("", "  ", "x" * 201, "a\0"):
            with pytest.raises(EntryRefused, match="name"):
                await registry.add_tenant("shop", name)

    async def test_a_tenant_is_switched_off_and_on(self, registry: SqlRegistry, shop: Tenant) -> None:
        _, secret = await registry.add_token(shop.id, "alana", scopes=["write"])
        for active in (False, True):
            await registry.set_tenant_active(shop.id, active)
            tenant = await registry.tenant(TenantRef("slug", "shop"))
            token = await registry.token(secret_sha256(secret))
            assert tenant is not None
            assert token is not None
            assert tenant.active is token.tenant.active is active
        with pytest.raises(EntryRefused, match="no tenant with the id 99"):
            await registry.set_tenant_active(99, False)

    async def test_settings_are_replaced(self, registry: SqlRegistry, shop: Tenant) -> None:
        chosen = TenantSettings(limits={"relo.batch": 5000}, consent_bits={"analytics": 2}, events_days=30)
        await registry.update_tenant_settings(shop.id, chosen)
        (tenant,) = await registry.list_tenants()
        assert tenant.settings == chosen
        for bad in (
            TenantSettings(limits={"relo.batch": 0}),
            TenantSettings(consent_bits={"analytics": 3}),
            TenantSettings(consent_bits={"analitics": 1}),
            TenantSettings(consent_default=256),
            TenantSettings(events_days=0),
            TenantSettings(shared_device_user_ids_max=0),
        ):
            with pytest.raises(EntryRefused):
                await registry.update_tenant_settings(shop.id, bad)
        with pytest.raises(EntryRefused, match="no tenant"):
            await registry.update_tenant_settings(99, chosen)


class ProductContract:
    async def test_a_product_is_its_tenants_own(
        self, registry: SqlRegistry, shop: Tenant, rival: Tenant
    ) -> None:
        await registry.add_product(shop.id, 102)
        await registry.add_product(shop.id, 101, "Boot")
        await registry.add_product(shop.id, 101, "Shoe")
        products = await registry.list_products(shop.id)
        assert [(product.product_id, product.name) for product in products] == [(101, "Boot"), (102, "")]
        assert await registry.has_product(shop.id, 101)
        assert not await registry.has_product(rival.id, 101)
        await registry.remove_product(shop.id, 101)
        assert not await registry.has_product(shop.id, 101)
        with pytest.raises(EntryRefused, match=f"Tenant {shop.id} has no product 101"):
            await registry.remove_product(shop.id, 101)
        with pytest.raises(EntryRefused, match="no tenant with the id 99"):
            await registry.add_product(99, 1)

    async def test_pairs_are_found_in_one_call(
        self, registry: SqlRegistry, shop: Tenant, rival: Tenant
    ) -> None:
        await registry.add_product(shop.id, 101)
        await registry.add_product(rival.id, 102)
        pairs = [(tenant.id, number) for tenant in (shop, rival) for number in (101, 102, 2**63)]
        assert set(await registry.find_products(pairs)) == {(shop.id, 101), (rival.id, 102)}

    @pytest.mark.parametrize("number", [0, -1, 2**63 - 1, 2**63, -(2**63) - 1, 10**40])
    async def test_any_number_can_be_asked_for(
        self, registry: SqlRegistry, shop: Tenant, number: int
    ) -> None:
        assert not await registry.has_product(shop.id, number)
        assert not await registry.has_product(number, 1)


class DemoContract:
    async def test_the_demo_is_entered_once(self, registry: SqlRegistry) -> None:
        assert not await has_demo(registry)
        for _ in range(2):
            await seed_demo(registry)
        tenant = await registry.tenant(TenantRef("any", "00000000-0000-4000-8000-000000000001"))
        assert tenant is not None
        assert (tenant.id, tenant.slug) == (1, "mi-negocio")
        assert await registry.has_product(1, 101)
        assert await registry.has_product(1, 102)
        relo, alana, redo, admin = [await registry.token(secret_sha256(secret)) for secret in SECRETS]
        assert relo is not None
        assert relo.client_ids == {3, 7}
        assert relo.scopes == {"write", "read"}
        assert alana is not None
        assert alana.scopes == {"write"}
        assert redo is not None
        assert redo.store == "dev-store"
        assert redo.scopes == {"write", "read"}
        assert admin is not None
        assert admin.dialect == ""
        assert admin.scopes == {"write", "read", "admin"}
        assert await has_demo(registry)

    async def test_a_revoked_demo_stays_revoked(self, registry: SqlRegistry) -> None:
        await seed_demo(registry)
        for token in await registry.list_tokens(1):
            assert await has_demo(registry)
            await registry.revoke_token(token.key_id)
        await seed_demo(registry)
        assert not await has_demo(registry)

    async def test_a_real_tenant_keeps_its_place(self, registry: SqlRegistry) -> None:
        await registry.add_tenant("shop", "Shop", id=1)
        with pytest.raises(EntryRefused, match="Tenant 1 is 'shop'"):
            await seed_demo(registry)


class RegistryContract(
    TenantContract,
    TokenContract,
    ProductContract,
    DemoContract,
    EventKeyContract,
    SegmentContract,
    ErasureContract,
    FilterContract,
    DeliveryContract,
):
    """All of it; a backend subclasses this."""

    async def test_it_answers(self, registry: SqlRegistry) -> None:
        await registry.probe()

    async def test_no_secret_is_stored(self, registry: SqlRegistry, shop: Tenant) -> None:
        _, secret = await registry.add_token(shop.id, "alana", scopes=["write"])
        assert secret.encode() not in await self.everything_stored(registry)

    async def everything_stored(self, registry: SqlRegistry) -> bytes:
        """Return all that the database holds, as bytes."""
        raise NotImplementedError
