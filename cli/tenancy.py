"""What commands about one tenant share: which tenant, and the JSON file that they take."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import CommandFailed

if TYPE_CHECKING:
    from schemas.tenants import Tenant
    from stores.registry import SqlRegistry

TENANT = click.option("--tenant", help="A numeric id, a UUID or a slug; the only tenant if there is one.")


async def tenant_of(registry: "SqlRegistry", name: str | None) -> "Tenant":
    """Return the tenant that is named, or the only one. Raises CommandFailed."""
    from cli.registry import find_tenant

    if name is not None:
        return await find_tenant(registry, name)
    tenants = await registry.list_tenants()
    if len(tenants) != 1:
        raise CommandFailed(f"there are {len(tenants)} tenants; name one with --tenant")
    return tenants[0]


def read_file(file: Path, shape: Any) -> Any:
    """Return what the JSON in a file gives; `-` is stdin. Raises CommandFailed."""
    from console.body import decode

    try:
        with click.open_file(str(file), "rb") as opened:
            return decode(opened.read(), shape)
    except OSError as error:
        raise CommandFailed(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise CommandFailed(f"{file} is not usable: {error}") from None
