"""stores/registry/database.py: which addresses it takes, and how it says that one is wrong."""

from pathlib import Path

import pytest

from schemas.settings import Settings, SettingsError
from stores.base import StoreMisconfigured, StoreUnavailable
from stores.migrations import migrate_registry
from stores.registry import open_registry


@pytest.mark.parametrize(
    "url",
    ["", "sqlite", "sqlite:other.db", "mysql://x/y", "postgresql+asyncpg://x/y", "postgresql://h:port/x"],
)
def test_an_address_of_the_wrong_shape_is_named(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="PENSTOCK_REGISTRY_URL is not usable"):
        open_registry(Settings(home=str(tmp_path), registry_url=url))


@pytest.mark.parametrize(
    ("query", "kind", "sentence"),
    [
        ("sslmode=perhaps", StoreMisconfigured, "PENSTOCK_REGISTRY_URL is not usable"),
        ("sslmode=verify-full&sslrootcert=/nowhere/ca.pem", StoreUnavailable, "certificate file"),
    ],
)
async def test_a_wrong_option_is_a_sentence(query: str, kind: type[Exception], sentence: str) -> None:
    settings = Settings(registry_url=f"postgresql://u:hush@127.0.0.1:1/x?{query}")
    async with open_registry(settings) as registry:
        with pytest.raises(kind, match=sentence) as caught:
            await registry.list_tenants()
        assert "hush" not in str(caught.value)


async def test_any_directory_will_do(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path / "a b" / "50% é#?x=1&y"))
    await migrate_registry(settings)
    async with open_registry(settings) as registry:
        await registry.probe()
    assert (Path(settings.home) / "registry.db").exists()


async def test_nobody_listens() -> None:
    async with open_registry(Settings(registry_url="postgresql://u:hush@127.0.0.1:1/x")) as registry:
        for work in (registry.list_tenants(), registry.probe(), registry.token(b"x")):
            with pytest.raises(StoreUnavailable, match="cannot be reached") as caught:
                await work
            assert "hush" not in str(caught.value)
