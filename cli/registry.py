"""How a command works on the registry: opened, asked, its answer printed as JSON lines."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import click

from cli.errors import CommandFailed
from schemas.settings import PREFIX, Settings
from schemas.tenants import Tenant, TenantRef
from stores.base import StoreMisconfigured
from stores.registry import SqlRegistry, open_registry


def ask(settings: Settings, work: Callable[[SqlRegistry], Awaitable[Iterable[Any]]]) -> None:
    """Run `work` on the registry and print what it returns, one JSON object a line.

    It is the registry that the settings name, else that of the system that runs in their home.
    """
    from cli.running import of_running
    from console.rendering import encode

    settings = of_running(settings)
    if settings.registry_url == "sqlite:" and not (Path(settings.home) / "registry.db").exists():
        raise StoreMisconfigured(
            f"nothing is in {Path(settings.home).absolute()}. Start a system with `make run`, name its "
            f"directory with {PREFIX}HOME or a registry with {PREFIX}REGISTRY_URL, or make one with "
            "`penstock migrate`"
        )

    async def run() -> list[Any]:
        async with open_registry(settings) as registry:
            return list(await work(registry))

    for entry in asyncio.run(run()):
        click.echo(encode(entry))


async def find_tenant(registry: SqlRegistry, name: str) -> Tenant:
    """Look a tenant up by id, UUID or slug. Raises CommandFailed where there is none."""
    tenant = await registry.tenant(TenantRef("any", name))
    if tenant is None:
        raise CommandFailed(f"there is no tenant {name!r}; `penstock tenant list` shows them")
    return tenant
