"""What tenants save under a name, as `penstock filter` and `penstock segment` list, show and remove it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from cli.errors import CommandFailed
from cli.options import REGISTRY, with_settings
from cli.tenancy import TENANT, tenant_of
from schemas.settings import Settings

if TYPE_CHECKING:
    from stores.registry import SqlRegistry

FILE = click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
"""Conditions, as the api takes them."""


class Saved(NamedTuple):
    """One kind of thing: its word, and where its entries are, as they are shown."""

    word: str
    entries: "Callable[[SqlRegistry, int], Awaitable[Sequence[Mapping[str, Any]]]]"
    remove: "Callable[[SqlRegistry, int, str], Awaitable[None]]"
    after: str = ""
    """What else a removal means."""

    async def find(self, registry: "SqlRegistry", tenant_id: int, named: str) -> Mapping[str, Any]:
        """Return the tenant's entry of that id or name. Raises CommandFailed."""
        for entry in await self.entries(registry, tenant_id):
            if named in (entry["id"], entry["name"]):
                return entry
        raise CommandFailed(
            f"the tenant has no {self.word} {named!r}; `penstock {self.word} list` shows them"
        )


def add_commands(group: click.Group, saved: Saved) -> None:
    """Add `list`, `show` and `remove` to the group."""
    word = saved.word
    named = click.argument("named", metavar=word.upper())

    @group.command("list", help=f"List the tenant's {word}s, by name.")
    @TENANT
    @with_settings(*REGISTRY)
    def list_(settings: Settings, *, tenant: str | None) -> None:
        from cli.registry import ask

        async def work(registry: "SqlRegistry") -> Iterable[Any]:
            return await saved.entries(registry, (await tenant_of(registry, tenant)).id)

        ask(settings, work)

    @group.command("show", help=f"Show a {word}, by its id or its name.")
    @named
    @TENANT
    @with_settings(*REGISTRY)
    def show(settings: Settings, *, named: str, tenant: str | None) -> None:
        from cli.registry import ask

        async def work(registry: "SqlRegistry") -> Iterable[Any]:
            return [await saved.find(registry, (await tenant_of(registry, tenant)).id, named)]

        ask(settings, work)

    @group.command("remove", help=f"Forget a {word}, by its id or its name{saved.after}.")
    @named
    @TENANT
    @with_settings(*REGISTRY)
    def remove(settings: Settings, *, named: str, tenant: str | None) -> None:
        from cli.registry import ask

        async def work(registry: "SqlRegistry") -> Iterable[Any]:
            found = await tenant_of(registry, tenant)
            entry = await saved.find(registry, found.id, named)
            await saved.remove(registry, found.id, entry["id"])
            return [{"id": entry["id"], "name": entry["name"], "removed": True}]

        ask(settings, work)
