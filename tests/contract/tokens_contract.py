"""What a registry promises of tokens."""

import time

import pytest

from schemas.tenants import Tenant
from stores.registry import EntryRefused, SqlRegistry
from stores.registry.tokens import secret_sha256


class TokenContract:
    async def test_a_secret_is_fresh_and_opens_its_token(self, registry: SqlRegistry, shop: Tenant) -> None:
        token, secret = await registry.add_token(
            shop.id, "relo", scopes=["write", "read"], client_ids=[7, 3], limits={"relo.batch": 500}
        )
        assert secret.startswith("pk_relo_")
        assert len(secret) >= 43  # 256 bits
        assert token.client_ids == {3, 7}
        assert token.scopes == {"write", "read"}
        assert token.limits == {"relo.batch": 500}
        assert (token.tenant, token.dialect, token.store, token.revoked) == (shop, "relo", "", False)
        assert await registry.token(secret_sha256(secret)) == token
        assert await registry.token(secret_sha256(secret + "x")) is None
        assert await registry.token(b"") is None

    @pytest.mark.parametrize("count", [0, 1, 2, 3, 255, 256, 257, 600])
    async def test_many_are_found_in_one_call(
        self, registry: SqlRegistry, shop: Tenant, rival: Tenant, count: int
    ) -> None:
        token, secret = await registry.add_token(shop.id, "alana", scopes=["write"])
        other, other_secret = await registry.add_token(rival.id, "alana", scopes=["write"])
        hashes = [secret_sha256(f"guess {number}") for number in range(count)]
        assert await registry.find_tokens(hashes) == {}
        hashes[count // 2 : count // 2] = [secret_sha256(secret)]
        hashes.append(secret_sha256(other_secret))
        assert await registry.find_tokens(hashes) == {
            secret_sha256(secret): token,
            secret_sha256(other_secret): other,
        }

    async def test_two_are_valid_while_rotating(self, registry: SqlRegistry, shop: Tenant) -> None:
        old, old_secret = await registry.add_token(shop.id, "alana", scopes=["write"])
        new, new_secret = await registry.add_token(shop.id, "alana", scopes=["write"])
        assert old_secret != new_secret
        assert [token.key_id for token in await registry.list_tokens(shop.id)] == [old.key_id, new.key_id]
        await registry.revoke_token(old.key_id)
        await registry.revoke_token(old.key_id)
        gone = await registry.token(secret_sha256(old_secret))
        kept = await registry.token(secret_sha256(new_secret))
        assert gone is not None
        assert kept is not None
        assert (gone.revoked, kept.revoked) == (True, False)
        with pytest.raises(EntryRefused, match="no token with the key id 'nobody'"):
            await registry.revoke_token("nobody")

    async def test_an_expiry_is_kept(self, registry: SqlRegistry, shop: Tenant) -> None:
        soon = time.time_ns() // 1_000_000 + 60_000
        token, secret = await registry.add_token(shop.id, "", scopes=["read"], expires_at=soon)
        assert token.expires_at == soon
        assert secret.startswith("pk_api_")
        with pytest.raises(EntryRefused, match="future"):
            await registry.add_token(shop.id, "", scopes=["read"], expires_at=1)

    @pytest.mark.parametrize(
        ("dialect", "arguments", "sentence"),
        [
            ("relo", {"scopes": ["write"]}, "client ids"),
            ("relo", {"scopes": ["write"], "client_ids": [-1]}, "client id"),
            ("relo", {"scopes": ["write"], "client_ids": [3], "store": "s"}, "store"),
            ("relo", {"scopes": ["write", "admin"], "client_ids": [3]}, "admin"),
            ("redo", {"scopes": ["write"]}, "needs the store"),
            ("redo", {"scopes": ["write"], "store": "a/b"}, "store has"),
            ("redo", {"scopes": ["write"], "store": "s", "client_ids": [1]}, "client ids"),
            ("alana", {"scopes": ["write", "read"]}, "may only write"),
            ("alana", {"scopes": ["read"]}, "may only write"),
            ("tracker", {"scopes": ["write"]}, "public"),
            ("", {"scopes": []}, "needs a scope"),
            ("", {"scopes": ["delete"]}, "Unknown scope 'delete'"),
            ("", {"scopes": ["read"], "limits": {"api": 0}}, "rate limit of 'api'"),
            ("", {"scopes": ["read"], "key_id": "a b"}, "key id"),
        ],
    )
    async def test_a_token_fits_its_dialect(
        self, registry: SqlRegistry, shop: Tenant, dialect: str, arguments: dict[str, object], sentence: str
    ) -> None:
        with pytest.raises(EntryRefused, match=sentence):
            await registry.add_token(shop.id, dialect, **arguments)  # type: ignore[arg-type]
        assert await registry.list_tokens(shop.id) == []

    async def test_a_store_belongs_to_one_tenant(
        self, registry: SqlRegistry, shop: Tenant, rival: Tenant
    ) -> None:
        token, _ = await registry.add_token(shop.id, "redo", scopes=["write"], store="boots")
        await registry.add_token(shop.id, "redo", scopes=["read"], store="boots")
        await registry.revoke_token(token.key_id)
        with pytest.raises(EntryRefused, match="'boots' belongs to another tenant"):
            await registry.add_token(rival.id, "redo", scopes=["write"], store="boots")
        assert await registry.list_tokens(rival.id) == []

    async def test_names_and_secrets_are_used_once(self, registry: SqlRegistry, shop: Tenant) -> None:
        await registry.add_token(shop.id, "", scopes=["read"], secret="given", key_id="mine")
        with pytest.raises(EntryRefused, match="in use"):
            await registry.add_token(shop.id, "", scopes=["read"], secret="given")
        with pytest.raises(EntryRefused, match="in use"):
            await registry.add_token(shop.id, "", scopes=["read"], key_id="mine")
        with pytest.raises(EntryRefused, match="no tenant with the id 99"):
            await registry.add_token(99, "", scopes=["read"])
