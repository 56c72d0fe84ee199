"""`penstock token add|list|revoke`: credentials of producers and of readers."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from cli.options import REGISTRY, with_settings
from schemas.settings import Settings

if TYPE_CHECKING:
    from stores.registry import SqlRegistry

DAY_MS = 86_400_000


@click.group("token", short_help="Manage credentials: add, list, revoke.")
def command() -> None:
    """Manage credentials. TENANT is a numeric id, a UUID or a slug."""


@command.command("add")
@click.argument("tenant")
@click.option("--dialect", default="", help="The protocol it speaks; without one it is for the api.")
@click.option(
    "--scope", "scopes", multiple=True, default=("write",), help="write, read or admin; repeatable."
)
@click.option("--client-id", "client_ids", type=int, multiple=True, help="relo: a client it may write.")
@click.option("--store", default="", help="redo: the store it belongs to.")
@click.option("--limit", "limits", multiple=True, help="GROUP=REQUESTS instead of the tenant's limit.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="Days until it expires.")
@with_settings(*REGISTRY)
def add(
    settings: Settings,
    *,
    tenant: str,
    dialect: str,
    scopes: tuple[str, ...],
    client_ids: tuple[int, ...],
    store: str,
    limits: tuple[str, ...],
    days: float | None,
) -> None:
    """Add a credential and print its secret, which is not stored: this is the only time it is shown."""
    import time

    from cli.limits import refuse_unknown
    from cli.registry import ask, find_tenant

    own = _limits(limits)

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await find_tenant(registry, tenant)
        token, secret = await registry.add_token(
            found.id,
            dialect,
            scopes=scopes,
            client_ids=client_ids,
            store=store,
            limits=own,
            expires_at=None if days is None else int(time.time() * 1000 + days * DAY_MS),
        )
        return [
            {"key_id": token.key_id, "secret": secret, "tenant": found.slug, "scopes": sorted(token.scopes)}
        ]

    _refuse_unknown_dialect(dialect)
    refuse_unknown(own, dialect=dialect)
    ask(settings, work)


@command.command("list")
@click.argument("tenant")
@with_settings(*REGISTRY)
def show(settings: Settings, *, tenant: str) -> None:
    """List a tenant's credentials, without their secrets."""
    import msgspec

    from cli.registry import ask, find_tenant

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await find_tenant(registry, tenant)
        tokens = [msgspec.structs.asdict(token) for token in await registry.list_tokens(found.id)]
        return [token | {"tenant": found.slug, "scopes": sorted(token["scopes"])} for token in tokens]

    ask(settings, work)


@command.command("revoke")
@click.argument("key_id")
@with_settings(*REGISTRY)
def revoke(settings: Settings, *, key_id: str) -> None:
    """End a credential for good, within 30 s. KEY_ID is what `penstock token list` shows."""
    from cli.registry import ask

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        await registry.revoke_token(key_id)
        return [{"key_id": key_id, "revoked": True}]

    ask(settings, work)


def _limits(texts: tuple[str, ...]) -> dict[str, int]:
    limits = {}
    for text in texts:
        group, _, requests = text.partition("=")
        if not group or not requests.isdecimal():
            raise click.BadParameter(f"{text!r} is not GROUP=REQUESTS, as in relo.batch=5000")
        limits[group] = int(requests)
    return limits


def _refuse_unknown_dialect(dialect: str) -> None:
    from dialects import discover

    names = [known.name for known in discover()]
    if dialect and dialect not in names:
        raise click.BadParameter(f"there is no dialect {dialect!r}; there are {', '.join(names)}")
