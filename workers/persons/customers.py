"""Who is behind an event that names a customer: redo's id, e-mail and phone.

The first identifier, in this order, that an existing customer has decides; without one a customer is
made, who has all that were given. The others enrich the customer where it has none of their kind.
"""

from schemas.persons import Identifier, person_id
from workers.persons.decision import NOBODY, Conflict, Decision
from workers.persons.known import Known, Origin
from workers.persons.names import Given


def decide(given: Given, by: Origin, known: Known) -> Decision:
    """Decide one event, and put new links into `known`."""
    names = given.names
    if not names:
        return NOBODY
    person, decider = _match(names, by, known)
    if person is None:
        person = person_id(names[0], known.generation(names[0]))
        return _assign(person, names, by, known, decider=None)
    return _assign(person, names, by, known, decider=decider)


def _match(names: tuple[Identifier, ...], by: Origin, known: Known) -> tuple[str | None, Identifier | None]:
    for name in names:
        person = known.holder_for(name, by)
        if person is not None:
            return person, name
    # Replayed before what it would now follow: a customer that came later is better than a second one.
    for name in names:
        person = known.holder(name)
        if person is not None:
            return person, name
    return None, None


def _assign(
    person: str, names: tuple[Identifier, ...], by: Origin, known: Known, *, decider: Identifier | None
) -> Decision:
    owned: list[Identifier] = []
    conflicts: list[Conflict] = []
    lasting = True
    above = decider is not None
    for name in names:
        above = above and name != decider
        holder = known.holder(name)
        if holder is None and not _is_refused(name, person, known):
            known.link(name, person, "created" if decider is None else "enriched", by, slot=name.kind)
            holder = person
        if holder == person:
            owned.append(name)
        elif known.holder_for(name, by) is not None:
            conflicts.append("belongs_to_another")
        else:
            conflicts.append("has_another")
            # Of nobody, and above what decided: once somebody has it, an equal event is that person's.
            lasting = lasting and not above
    return Decision(person, tuple(owned), tuple(conflicts), lasting=lasting)


def _is_refused(name: Identifier, person: str, known: Known) -> bool:
    return known.fills(person, name.kind) or known.is_barred(name, person)
