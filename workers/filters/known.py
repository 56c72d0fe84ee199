"""The filters of tenants, read from the registry, compiled once each, and kept through an outage."""

import logging
from collections.abc import Collection, Mapping, Sequence
from time import monotonic
from typing import NamedTuple, Protocol

import msgspec

from schemas.conditions import ConditionsInvalid, names_of, read_filter, test_of
from schemas.conditions.judging import Test
from stores.base import StoreUnavailable
from stores.registry import Filter
from workers.stage import Unavailable
from workers.tenants import OLD_S, RETRY_S, TENANTS_MAX

log = logging.getLogger("penstock.worker")


class Compiled(NamedTuple):
    """A filter that an event can be put to; `names` are the only event names that it can meet, or None."""

    filter_id: str
    name: str
    names: frozenset[str] | None
    test: Test


class FiltersOf:
    """The filters of one tenant, found by the name of an event."""

    def __init__(self, filters: Sequence[Compiled]) -> None:
        names: set[str] = set().union(*(one.names for one in filters if one.names is not None))
        self._any = tuple(one for one in filters if one.names is None)
        self._by_name = {
            name: tuple(one for one in filters if one.names is None or name in one.names) for name in names
        }

    def of(self, event_name: str) -> tuple[Compiled, ...]:
        """Return the filters that an event of this name might meet."""
        return self._by_name.get(event_name, self._any)


class Reads(Protocol):
    """What is asked of the registry."""

    async def active_filters(self, tenant_ids: Collection[int]) -> Sequence[Filter]: ...


class KnownFilters:
    """Answers for all tenants of a batch; most have no filter, which is None."""

    def __init__(self, registry: Reads, *, fresh_s: float) -> None:
        self._registry = registry
        self._fresh_s = min(fresh_s, OLD_S)
        self._known: dict[int, tuple[FiltersOf | None, float]] = {}
        self._compiled: dict[int, Mapping[str, tuple[Filter, Compiled | None]]] = {}
        self._down_until = 0.0

    async def of(self, tenant_ids: Collection[int]) -> Mapping[int, FiltersOf]:
        """Return the filters of those tenants that have some; what is old is read anew, in one statement.

        Raises Unavailable for a tenant that was never read while the registry is down: its events wait.
        """
        now = monotonic()
        old = [
            one for one in tenant_ids if (at := self._known.get(one)) is None or now - at[1] >= self._fresh_s
        ]
        if old and now >= self._down_until:
            await self._read(old)
        unread = [one for one in old if one not in self._known]
        if unread:
            raise Unavailable(
                f"the registry does not answer, and filters of tenant {unread[0]} were never read"
            )
        return {one: found for one in tenant_ids if (found := self._known[one][0]) is not None}

    async def _read(self, tenant_ids: Sequence[int]) -> None:
        try:
            found = await self._registry.active_filters(tenant_ids)
        except StoreUnavailable as error:
            log.warning("filters of tenants stay as they are: %s", error)
            self._down_until = monotonic() + RETRY_S
            return
        rows: dict[int, list[Filter]] = {tenant_id: [] for tenant_id in tenant_ids}
        for row in found:
            rows[row.tenant_id].append(row)
        for tenant_id, of_tenant in rows.items():
            self._known.pop(tenant_id, None)
            self._known[tenant_id] = (self._compile(tenant_id, of_tenant), monotonic())
        while len(self._known) > max(TENANTS_MAX, len(tenant_ids)):
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._compiled.pop(oldest, None)

    def _compile(self, tenant_id: int, rows: Sequence[Filter]) -> FiltersOf | None:
        former = self._compiled.pop(tenant_id, {})
        if not rows:
            return None
        compiled = {}
        for row in rows:
            kept = former.get(row.filter_id)
            compiled[row.filter_id] = (
                kept if kept is not None and kept[0] == row else (row, compile_filter(row))
            )
        self._compiled[tenant_id] = compiled
        return FiltersOf([one for _, one in compiled.values() if one is not None])


def compile_filter(row: Filter) -> Compiled | None:
    """Make a test of a filter; one that this version cannot read is left out, and the log says so."""
    try:
        condition = read_filter(msgspec.json.decode(row.conditions))
    except (ConditionsInvalid, msgspec.DecodeError) as error:
        log.error(
            "filter %s of tenant %d is not usable and matches nothing: %s",
            row.filter_id,
            row.tenant_id,
            error,
        )
        return None
    return Compiled(row.filter_id, row.name, names_of(condition), test_of(condition))
