"""Circuit breakers, one for each URL of a tenant: a receiver that fails is left alone for a while.

Five failures in a row open one. It then rests for 30 s, and twice as long after each failed trial, up to five
minutes; one delivery is the trial. A success closes it. What waits meanwhile uses up no attempts.
"""

import time
from collections.abc import Callable

FAILURES_MAX = 5
REST_FIRST_S = 30.0
REST_MAX_S = 300.0

ROOM = 10
"""Requests at once to one endpoint that answers; one that failed last gets one at a time."""

ENDPOINTS_MAX = 10_000


class Endpoint:
    """What is known of one receiver, in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._rest_s = REST_FIRST_S
        self._resting_until: float | None = None
        self.in_flight = 0

    @property
    def open(self) -> bool:
        """Whether it rests, but for a trial now and then."""
        return self._resting_until is not None

    @property
    def room(self) -> int:
        """How many more requests may go there now."""
        if self._resting_until is not None and self._clock() < self._resting_until:
            return 0
        return (1 if self._failures else ROOM) - self.in_flight

    def record(self, *, delivered: bool) -> bool:
        """Count an attempt. Return whether this opened the breaker."""
        if delivered:
            self.lift()
            return False
        self._failures += 1
        if self._failures < FAILURES_MAX:
            return False
        opened = self._resting_until is None
        self._rest_s = REST_FIRST_S if opened else min(self._rest_s * 2, REST_MAX_S)
        self._resting_until = self._clock() + self._rest_s
        return opened

    def lift(self) -> None:
        """Close the breaker and forget the failures."""
        self._failures = 0
        self._resting_until = None


class Endpoints:
    """All that this process has sent to; one tenant's never closes another's."""

    def __init__(self) -> None:
        self._endpoints: dict[tuple[int, str], Endpoint] = {}
        self._names: dict[tuple[int, str], str] = {}

    def of(self, tenant_id: int, url: str, filter_id: str) -> Endpoint:
        """Return the endpoint; `filter_id` is how it is named to operators, as a URL may hold a secret."""
        key = (tenant_id, url)
        found = self._endpoints.setdefault(key, Endpoint())
        self._names[key] = filter_id
        if len(self._endpoints) > ENDPOINTS_MAX:
            self._forget_idle(found)
        return found

    def _forget_idle(self, but: Endpoint) -> None:
        for key, endpoint in self._endpoints.items():
            if endpoint is not but and not endpoint.in_flight:
                del self._endpoints[key], self._names[key]
                return

    def resting(self) -> list[str]:
        """Return the filters whose endpoint rests."""
        return [self._names[key] for key, endpoint in self._endpoints.items() if endpoint.open]

    def lift(self) -> list[str]:
        """Close every open breaker and return whose they were."""
        opened = self.resting()
        for endpoint in self._endpoints.values():
            if endpoint.open:
                endpoint.lift()
        return opened
