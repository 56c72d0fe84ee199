"""Duplicates (rule 4): the first event with a key is kept, a later one has no effect at all.

An event is a duplicate if and only if its key is owned by other coordinates than its own, so a replay
after a crash decides as before. Where the key comes from stands in the version of the event's id:

- 5, an explicit key: owned for good by a claim in the registry.
- 8, made of the request's bytes: a repeat lands in the same partition within 15 minutes, so its worker
  remembers it, and asks `events` for what it cannot know.
- 7, fresh: no key.

A replayed record keeps its id, whatever the version, and claims it: so it is stored once, however often it
is replayed.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from operator import lt
from typing import NamedTuple

from bus.base import Taken
from schemas.event import Event
from schemas.topics import Coordinates, Partition
from stores.base import StoreUnavailable
from stores.registry import KeyClaim
from workers.attempts import SKEW_MS, WINDOW_MS, Attempts, Run, Seen
from workers.earlier import Earlier, index_of, request_of
from workers.letters import is_sane, stamps
from workers.resources import Resources
from workers.stage import KEEP, Duplicate, Unavailable, Verdict

_EXPLICIT, _DERIVED = "5", "8"
_ANY_MS = 2**63  # a replay is no repeat: it may come any time later


class _TakenOver(NamedTuple):
    """What was stored of a partition before we took it over: it matters up to `until_ms` (received_at)."""

    requests: frozenset[bytes] | None  # None: too many to list
    from_ms: int
    until_ms: int


class _FirstBatch(NamedTuple):
    """What was kept of the first batch of a partition, which a former owner may have judged otherwise."""

    end: int
    kept: dict[str, int]  # offsets by event id


class Duplicates:
    """Ends every event whose key another one has."""

    name = "duplicate"

    def __init__(self, use: Resources) -> None:
        self._registry = use.registry
        self._earlier = Earlier(use.warehouse, use.settings.clickhouse_cluster)
        self._attempts = Attempts()
        self._taken_over: dict[int, _TakenOver] = {}
        self._first_kept: dict[int, _FirstBatch] = {}

    async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Keep the first with each key. Raises Unavailable. All events are of one partition."""
        verdicts: list[Verdict] = [KEEP] * len(events)
        requests: dict[str, list[int]] = {}
        claimed: list[int] = []
        places, former = claimed, ""
        for place, event in enumerate(events):
            if event.replay_of:
                claimed.append(place)
                continue
            request = event.event_id[:28]
            if request != former:  # those of one request stand together
                former, version = request, request[14]
                places = claimed if version == _EXPLICIT else []
                if version == _DERIVED:
                    places = requests.setdefault(request, places)
            places.append(place)
        try:
            if claimed:
                await self._judge_claims(events, claimed, verdicts)
            if requests:
                await self._judge_requests(events, requests, verdicts)
        except StoreUnavailable as error:
            raise Unavailable(str(error)) from error
        self._note_first(events, verdicts)
        return verdicts

    def taken_over(self, partition: Partition) -> None:
        """Note that another worker may have read this partition: what it saw is not in our memory."""
        self._taken_over.pop(partition.index, None)
        self._first_kept.pop(partition.index, None)
        self._attempts.forget(partition.index)

    async def release(self, dead: Iterable[tuple[Coordinates, Taken]]) -> None:
        """Give up the keys of events that ended dead after all. Raises StoreUnavailable."""
        claims = []
        for at, record in dead:
            known = stamps(record.value)
            if not is_sane(known):
                continue  # it never had a key
            version = known.id[14]
            if at.kp in self._first_kept:
                self._first_kept[at.kp].kept.pop(known.id, None)
            if version == _DERIVED:
                self._attempts.release(at.kp, request_of(known.id), index_of(known.id), at.ko)
            if version == _EXPLICIT or known.replay_of:
                claims.append(KeyClaim(known.tenant, known.id, at))
        await self._registry.release_keys(claims)

    def _note_first(self, events: Sequence[Event], verdicts: Sequence[Verdict]) -> None:
        start, end = _at(events[0]), _at(events[-1]).ko + 1
        first = self._first_kept.get(start.kp)
        if first is None or start.ko < first.end:
            kept = {e.event_id: _at(e).ko for e, v in zip(events, verdicts, strict=True) if v is KEEP}
            self._first_kept[start.kp] = _FirstBatch(end, kept)

    # --- explicit keys, and replays

    async def _judge_claims(
        self, events: Sequence[Event], places: Sequence[int], verdicts: list[Verdict]
    ) -> None:
        elsewhere = await self._stored_elsewhere([events[place] for place in places])
        for place in places:
            if events[place].event_id in elsewhere:
                verdicts[place] = Duplicate(events[place].event_id)
        places = [place for place in places if events[place].event_id not in elsewhere]
        owners = await self._registry.claim_keys([_claim(events[place]) for place in places])
        for place, owner in zip(places, owners, strict=True):
            event = events[place]
            if owner.at != event.at:
                verdicts[place] = Duplicate(owner.first_event_id)
            elif event.event_id[14] == _DERIVED:
                self._attempts.add(_at(event).kp, request_of(event.event_id), [_seen(event)])

    async def _stored_elsewhere(self, events: Sequence[Event]) -> frozenset[str]:
        """Return the ids of replayed events that are stored already, or are being stored, at another place.

        A repeat of the request may have brought one in; or the record that it repeats died under a former
        owner, which published the letter and was killed, and was judged better since.
        """
        replayed = {event.event_id: event for event in events if event.replay_of}
        if not replayed:
            return frozenset()
        tenants = sorted({event.tenant_id for event in replayed.values()})
        stored = await self._earlier.stored(tenants, list(replayed))
        elsewhere = {event_id for event_id, at in stored if at != replayed[event_id].at}
        return frozenset(elsewhere | {id_ for id_, event in replayed.items() if self._is_under_way(event)})

    def _is_under_way(self, event: Event) -> bool:
        """Tell whether another record with this id may be on its way into `events` just now."""
        at = _at(event)
        first = self._first_kept.get(at.kp)
        if first is not None and first.kept.get(event.event_id, at.ko) != at.ko:
            return True
        if event.event_id[14] != _DERIVED:
            return False
        owner = self._attempts.owner(at.kp, request_of(event.event_id), _seen(event), window_ms=_ANY_MS)
        return owner is not None and owner != at.ko

    # --- keys made of the request's bytes

    async def _judge_requests(
        self, events: Sequence[Event], requests: Mapping[str, list[int]], verdicts: list[Verdict]
    ) -> None:
        kp = _at(events[0]).kp
        named = {request_of(text): [events[place] for place in places] for text, places in requests.items()}
        await self._learn(kp, named)
        for places, (name, met) in zip(requests.values(), named.items(), strict=True):
            is_known = self._attempts.knows(kp, name)
            if not is_known and (run := _run(met)) is not None:
                self._attempts.add_run(kp, name, run)
                continue
            attempt = {seen.request_index: seen for seen in map(_seen, met)}
            if is_known or len(attempt) < len(met):
                attempt = self._judge_repeat(kp, name, events, places, verdicts)
            self._attempts.add(kp, name, attempt.values())

    def _judge_repeat(
        self, kp: int, name: bytes, events: Sequence[Event], places: Sequence[int], verdicts: list[Verdict]
    ) -> dict[int, Seen]:
        """Judge a request that was here before, in this batch or earlier; return what owns its ids now."""
        kept: dict[int, Seen] = {}
        for place in places:
            seen = _seen(events[place])
            owner = self._attempts.owner(kp, name, seen)
            if owner is None and seen.request_index in kept and _near(kept[seen.request_index], seen):
                owner = kept[seen.request_index].ko
            if owner is None:
                kept[seen.request_index] = seen
            elif owner != seen.ko:
                verdicts[place] = Duplicate(events[place].event_id)
        return kept

    async def _learn(self, kp: int, requests: Mapping[bytes, list[Event]]) -> None:
        """Ask `events` for the requests that may have been here before us."""
        first = next(iter(requests.values()))[0]
        before = _at(first)
        if kp not in self._taken_over:
            found = await self._earlier.requests(before, first.received_at)
            until_ms = first.received_at + WINDOW_MS + SKEW_MS
            self._taken_over[kp] = _TakenOver(found, first.received_at, until_ms)
        asked = [event for name, met in requests.items() if self._is_open(kp, name, met) for event in met]
        if not asked:
            return
        received = [event.received_at for event in asked]
        stored = await self._earlier.events(
            before, min(received), max(received), [event.event_id for event in asked]
        )
        for name, seen in stored.items():
            fresh = [event for event in seen if self._attempts.owner(kp, name, event) is None]
            self._attempts.add(kp, name, fresh)

    def _is_open(self, kp: int, request: bytes, events: Sequence[Event]) -> bool:
        """Tell whether an earlier attempt may stand in `events` without being in our memory."""
        received_at = events[0].received_at
        if self._attempts.forgot(kp, received_at):
            return not self._attempts.knows(kp, request)
        taken_over = self._taken_over[kp]
        if received_at > taken_over.until_ms:
            self._taken_over[kp] = taken_over._replace(requests=frozenset())  # it is over: make room
            return False
        listed = taken_over.requests
        return listed is None or request in listed or received_at < taken_over.from_ms


def _claim(event: Event) -> KeyClaim:
    replayed = Coordinates.parse(event.replay_of) if event.replay_of else None
    return KeyClaim(event.tenant_id, event.event_id, _at(event), replayed)


def _at(event: Event) -> Coordinates:
    assert isinstance(event.at, Coordinates), "the pipeline says where an event stands"
    return event.at


def _seen(event: Event) -> Seen:
    return Seen(index_of(event.event_id), _at(event).ko, event.received_at)


def _run(events: Sequence[Event]) -> Run | None:
    """Return the events of a request as one run, as they nearly always are, or None."""
    first, last = _at(events[0]), _at(events[-1])
    if last.ko - first.ko != len(events) - 1 or len({event.received_at for event in events}) > 1:
        return None
    indices = array("H", [index_of(event.event_id) for event in events])
    rises = all(map(lt, indices, indices[1:]))
    return Run(events[0].received_at, first.ko, indices) if rises else None


def _near(one: Seen, other: Seen) -> bool:
    return abs(one.received_at - other.received_at) <= WINDOW_MS
