"""Who is behind an event that comes from a device: relo's did and alana's visitorId.

A device is a person of its own until it is seen with an id, e-mail or phone; then it is of the person who
has that, and a name that nobody had goes to the device's person. Two persons who are thus linked are one:
that is a merge, which queries see. A device with too many names of a kind is shared and links nobody.
"""

from collections.abc import Sequence

from schemas.persons import Identifier, Pair, person_id
from workers.persons.decision import NOBODY, Decision
from workers.persons.known import Known, Origin, was_there
from workers.persons.names import Given


def decide(given: Given, by: Origin, known: Known, *, names_max: int) -> Decision:
    """Decide one event, and put new links and pairs into `known`.

    `names_max` is how many names of a kind a device may be seen with before it counts as shared.
    """
    device = given.device
    if device is None:
        return _named(given.names[0], by, known) if given.names else NOBODY
    if not given.device_links:
        return _named(given.names[0], by, known) if given.names else Decision(person_id(device))
    return _on_device(device, given.names, by, known, names_max)


def _named(name: Identifier, by: Origin, known: Known) -> Decision:
    """Decide by a name alone; it is linked with nothing else."""
    person = known.holder(name)
    if person is None:
        person = person_id(name, known.generation(name))
        known.link(name, person, "created", by)
    return Decision(person, (name,))


def _on_device(
    device: Identifier, names: tuple[Identifier, ...], by: Origin, known: Known, names_max: int
) -> Decision:
    pairs = known.pairs_of(device)
    if not pairs and not names:
        return Decision(person_id(device))
    before = [pair for pair in pairs if was_there(pair, by)]
    linked = [pair.person_id for pair in before if pair.person_id and pair.unlinked_at is None]
    of_device = linked[0] if linked else person_id(device)
    shared = _is_shared(before, names_max)
    if not names:
        return Decision(of_device, shared_device=shared)
    paired = {pair.seen_with: pair for pair in pairs}
    fresh = [name for name in names if name not in paired]
    too_many = [name for name in fresh if _count(before, name) >= names_max]
    may = [name for name in names if name not in too_many and (name not in paired or _holds(paired[name]))]
    for name in too_many:
        if _count(before, name) == names_max:  # one more is on record, so that the device stays shared
            known.pair(device, name, None, by)
    if not may:
        alone = _named(names[0], by, known)
        return Decision(alone.person_id, alone.owned, shared_device=shared or bool(too_many))
    person = next((holder for name in may if (holder := known.holder(name)) is not None), of_device)
    for name in may:
        holder = known.holder(name)
        if holder is None:
            known.link(name, person, "seen_together", by)
            holder = person
        if name not in paired:
            known.pair(device, name, holder, by)
    return Decision(person, tuple(may), shared_device=shared or bool(too_many))


def _count(pairs: Sequence[Pair], name: Identifier) -> int:
    return sum(pair.seen_with.kind == name.kind for pair in pairs)


def _holds(pair: Pair) -> bool:
    return pair.person_id is not None and pair.unlinked_at is None


def _is_shared(pairs: Sequence[Pair], names_max: int) -> bool:
    return any(_count(pairs, pair.seen_with) > names_max for pair in pairs)
