"""Whether the parts that the gateway leans on answer: asked in the background, told in no time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

from bus.base import Bus, BusUnavailable
from gateway.metrics import Metrics
from schemas.settings import Settings
from stores.base import KeyStore, Registry, StoreUnavailable

State = Literal["ok", "degraded", "down"]

PROBE_EVERY_S = 1.0
PROBE_TIMEOUT_S = 0.9
SLOW_S = 0.3
"""A part that takes longer to say that it is there is degraded."""

STALE_S = 5.0
"""A state as old as this says nothing: the probes themselves hang."""

_NATIVE_PORT, _NATIVE_TLS_PORT = 9000, 9440
_HANGS_UP_S = 0.05
_UP: Mapping[State, float] = {"ok": 1.0, "degraded": 0.5, "down": 0.0}

Probe = Callable[[], Awaitable[None]]

log = logging.getLogger("penstock.gateway")


class HealthBody(Struct, frozen=True):
    """What GET /health says. `dragonfly` is the key store, `supabase` the registry."""

    status: State
    version: str
    uptime_sec: int
    clickhouse: State
    dragonfly: State
    supabase: State
    bus: State


class Health:
    """The states of the parts. Run `watch` beside the server."""

    def __init__(self, probes: Mapping[str, Probe], *, version: str, metrics: Metrics) -> None:
        self._probes = dict(probes)
        self._states: dict[str, State] = dict.fromkeys(probes, "down")
        self._probed_at = dict.fromkeys(probes, -STALE_S)
        self._version = version
        self._metrics = metrics
        self._began = monotonic()
        self.stopping = False

    async def watch(self) -> None:
        """Probe all parts every second, until cancelled."""
        while True:
            await asyncio.sleep(PROBE_EVERY_S)
            await self.probe_all()

    async def probe_all(self) -> None:
        """Ask all parts at once; each has less than a second."""
        await asyncio.gather(*map(self.probe, self._probes))

    async def probe(self, part: str) -> None:
        """Ask one part, and remember what it said."""
        began = monotonic()
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await self._probes[part]()
        except (BusUnavailable, StoreUnavailable, TimeoutError, OSError):
            state: State = "down"
        except Exception:  # a driver's surprise must not end the watch
            log.exception("the probe of %s failed in an unknown way", part)
            state = "down"
        else:
            state = "degraded" if monotonic() - began > SLOW_S else "ok"
        if state != self._states[part] and self._probed_at[part] > 0:
            log.warning("%s is %s", part, state)
        self._states[part] = state
        self._probed_at[part] = monotonic()
        self._metrics.up.labels(part).set(_UP[state])

    def state(self, part: str) -> State:
        """Return the state of a part; down if it was not asked lately."""
        return self._states[part] if monotonic() - self._probed_at[part] < STALE_S else "down"

    @property
    def ready(self) -> bool:
        """Whether a request would be served: started, not stopping, and the bus takes events."""
        return not self.stopping and self.state("bus") != "down"

    def body(self) -> HealthBody:
        """Return what /health says. Only the bus makes it `down`: the gateway serves without the others."""
        states = {part: self.state(part) for part in self._probes}
        status: State = "ok"
        if states["bus"] == "down":
            status = "down"
        elif any(state != "ok" for state in states.values()):
            status = "degraded"
        uptime_s = int(monotonic() - self._began)
        return HealthBody(status=status, version=self._version, uptime_sec=uptime_s, **states)


def probes_of(settings: Settings, bus: Bus, registry: Registry, keys: KeyStore) -> Mapping[str, Probe]:
    """Return how each part is asked, by its name in /health."""

    async def warehouse() -> None:
        await knock(settings.clickhouse_url)

    return {
        "clickhouse": warehouse,
        "dragonfly": keys.probe,
        "supabase": registry.probe,
        "bus": bus.probe,
    }


async def knock(url: str) -> None:
    """Return if someone listens at a ClickHouse address and keeps the line open. Raises OSError.

    The gateway has no business in the warehouse, and so no session there: nothing is said.
    """
    parts = urlsplit(url)
    port = parts.port or (_NATIVE_TLS_PORT if parts.scheme == "clickhouses" else _NATIVE_PORT)
    reader, writer = await asyncio.open_connection(parts.hostname or "127.0.0.1", port)
    try:
        async with asyncio.timeout(_HANGS_UP_S):
            await reader.read(1)
        raise ConnectionResetError("it hung up at once")
    except TimeoutError:
        return
    finally:
        writer.close()
