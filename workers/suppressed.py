"""Whose events are dropped since they were erased: read from the registry as it grows, kept in memory."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from time import monotonic

from stores.base import StoreError
from stores.registry import SqlRegistry, Suppression
from workers.persons.digests import Digests
from workers.persons.names import Named
from workers.stage import Unavailable

SUPPRESSED_MAX = 1_000_000
"""About 80 MB. Of more only the tenants are remembered, and the registry is asked for each batch."""

ROWS_MAX = 10_000
"""Changes read at a time."""

RETRY_S = 5.0
"""After a failure the registry is left alone for so long: a frozen one costs 2 s each time it is asked."""

log = logging.getLogger("penstock.worker")


class Suppressed:
    """The digests by tenant, at most `fresh_s` old; older while the registry is down."""

    def __init__(self, registry: SqlRegistry, *, fresh_s: float, keep_max: int = SUPPRESSED_MAX) -> None:
        self._registry = registry
        self._fresh_s = fresh_s
        self._keep_max = keep_max
        self._digests = Digests()
        self._seq = 0
        self._ask_at = 0.0
        self._known = False
        self._kept = 0
        self.of_tenant: dict[int, set[bytes]] = defaultdict(set)
        """Tenants with suppressed identifiers; their digests, unless there are too many of all."""

    @property
    def is_whole(self) -> bool:
        """Whether all digests are kept."""
        return self._kept <= self._keep_max

    async def _renew(self) -> None:
        """Read what is new, now and then. Raises Unavailable where the list was never read."""
        now = monotonic()
        if now < self._ask_at:
            return
        try:
            while await self._read():
                pass
        except StoreError as error:
            self._ask_at = now + RETRY_S
            if not self._known:
                raise Unavailable(f"whose events are suppressed is not known yet: {error}") from error
            log.warning("suppressed persons stay as they are: %s", error)
            return
        self._known = True
        self._ask_at = now + self._fresh_s

    async def places(self, events: Sequence[Named]) -> list[int]:
        """Return the places of those that name somebody suppressed. Raises Unavailable.

        That is, where who is suppressed was never read, or must be asked for, and the registry is down.
        """
        await self._renew()
        of_tenant, digests_of = self.of_tenant, self._digests.of
        if not of_tenant:
            return []
        if self.is_whole:
            found = []
            for place, event in enumerate(events):
                suppressed = of_tenant.get(event.tenant_id)
                if suppressed is not None and not suppressed.isdisjoint(digests_of(event)):
                    found.append(place)
            return found
        named = {
            place: [(event.tenant_id, digest) for digest in digests_of(event)]
            for place, event in enumerate(events)
            if event.tenant_id in of_tenant
        }
        asked = {each for names in named.values() for each in names}
        try:
            known = await self._registry.suppressed_among(list(asked)) if asked else set()
        except StoreError as error:
            raise Unavailable(str(error)) from error
        return [place for place, names in named.items() if not known.isdisjoint(names)]

    async def _read(self) -> bool:
        """Read the next changes; tell whether there may be more."""
        changes = await self._registry.suppressions_after(self._seq, ROWS_MAX)
        for change in changes:
            self._note(change)
            self._seq = change.seq
        return len(changes) == ROWS_MAX

    def _note(self, change: Suppression) -> None:
        digests = self.of_tenant[change.tenant_id]
        if not self.is_whole:
            return  # that the tenant has any is all that is kept
        if change.suppressed == (change.digest in digests):
            return
        if change.suppressed:
            digests.add(change.digest)
            self._kept += 1
        else:
            digests.discard(change.digest)
            self._kept -= 1
        if not self.is_whole:
            log.warning("over %d identifiers are suppressed: the registry is asked", self._keep_max)
            for each in self.of_tenant.values():
                each.clear()
