"""Whose events are dropped since they were erased: read from the registry as it grows, kept in memory."""

import logging
from collections import defaultdict
from collections.abc import Collection
from time import monotonic

from stores.base import StoreError
from stores.registry import SqlRegistry, Suppression
from workers.stage import Unavailable

SUPPRESSED_MAX = 1_000_000
"""About 80 MB. Of more only the tenants are remembered, and the registry is asked for each batch."""

ROWS_MAX = 10_000
"""Changes read at a time."""

RETRY_S = 5.0
"""After a failure the registry is left alone for so long: a frozen one costs 2 s each time it is asked."""

Named = tuple[int, bytes]
"""A tenant and the digest of one of its identifiers."""

log = logging.getLogger("penstock.worker")


class Suppressed:
    """The digests by tenant, at most `fresh_s` old; older while the registry is down."""

    def __init__(self, registry: SqlRegistry, *, fresh_s: float, keep_max: int = SUPPRESSED_MAX) -> None:
        self._registry = registry
        self._fresh_s = fresh_s
        self._keep_max = keep_max
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

    async def renew(self) -> None:
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

    async def among(self, named: Collection[Named]) -> set[Named]:
        """Return which of these are suppressed. Raises Unavailable where the registry must be asked."""
        if self.is_whole:
            of_tenant = self.of_tenant
            return {each for each in named if each[1] in of_tenant[each[0]]}
        try:
            return await self._registry.suppressed_among(list(named))
        except StoreError as error:
            raise Unavailable(str(error)) from error

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
