"""Demo credentials are known to everybody: what serves them is reachable from this machine only."""

import logging

from deploy.dev.plan import is_loopback
from schemas.settings import PREFIX, Settings, SettingsError
from stores.base import StoreUnavailable
from stores.registry import SqlRegistry
from stores.registry.demo import has_demo

log = logging.getLogger("penstock.demo")


async def refuse_public(settings: Settings, registry: SqlRegistry) -> None:
    """Raise SettingsError if demo credentials would be served on an address that others reach."""
    if is_loopback(settings.host):
        return
    try:
        found = await has_demo(registry)
    except StoreUnavailable as error:
        # An outage of the registry must not keep a gateway from starting.
        log.warning("could not look for demo credentials: %s", error)
        return
    if found:
        raise SettingsError(
            f"{PREFIX}HOST is {settings.host}, which others reach, and the registry has demo credentials, "
            "which everybody knows. Use another registry, or bind 127.0.0.1"
        )
