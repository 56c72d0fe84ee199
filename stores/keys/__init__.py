"""Rate limits: in the process's memory, or shared through a server that speaks the Redis protocol."""

from collections.abc import Callable

from schemas.settings import Settings, SettingsError
from stores.keys.memory import MemoryKeys
from stores.keys.redis import open_redis
from stores.keys.shared import SharedLimits

__all__ = ["MemoryKeys", "SharedLimits", "open_keys"]


def open_keys(settings: Settings, *, on_alone: Callable[[], None] | None = None) -> MemoryKeys | SharedLimits:
    """Make the key store that `keys_url` names; use it as an async context manager.

    `on_alone` is called for each decision that a process made alone because the shared store was down.
    Neither store's `take` ever raises. Raises SettingsError.
    """
    url = settings.keys_url
    if url == "memory:":
        return MemoryKeys()
    if url.startswith(("redis://", "rediss://")):
        return SharedLimits(open_redis(url), on_alone=on_alone)
    raise SettingsError(
        "PENSTOCK_KEYS_URL is not usable: it is `memory:` or `redis[s]://user:password@host:port/0`"
    )
