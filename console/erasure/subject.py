"""Who is meant: all persons that are seen as one, and every identifier by which they are known."""

from collections.abc import Sequence

from console.erasure.export import Say, counted, say_nothing
from dialects import identifiers
from dialects.phones import normal
from schemas.erasures import Subject
from schemas.persons import Identifier, Kind, identifier, is_uuid, person_id
from stores.base import Warehouse
from stores.registry import PersonRecord, SqlRegistry

KINDS: tuple[str, ...] = ("id", "email", "phone", "device", "person")
"""By what a person can be named; `person` is a person's own id."""

_DEVICES = """
SELECT DISTINCT dialect FROM events
WHERE tenant_id = %(tenant_id)s AND anonymous_id = %(value)s LIMIT 10"""


class Unknown(Exception):
    """Nothing is known of whom was named; the message says so."""


class Ambiguous(Exception):
    """Several persons have the identifier, each in another scope; `scopes` are theirs."""

    def __init__(self, scopes: Sequence[str]) -> None:
        super().__init__(f"it is known in {', '.join(scopes)}: name one as the scope")
        self.scopes = scopes


async def find_subject(
    registry: SqlRegistry,
    warehouse: Warehouse,
    *,
    tenant_id: int,
    kind: str,
    value: str,
    scope: str | None,
    say: Say = say_nothing,
) -> tuple[Subject, PersonRecord]:
    """Return whom an identifier or a person's id names, and what the registry knows of them.

    With a scope, an identifier that nobody has is somebody all the same: the quarantine may name it.
    Raises Unknown, Ambiguous, StoreUnavailable, QueryRefused.
    """
    if kind == "person":
        if not is_uuid(value):
            raise Unknown("a person's id is a UUID")
        named, person = None, value
    else:
        scope = scope or await _scope_of(registry, warehouse, tenant_id, kind, value)
        named = compared(tenant_id, scope, kind, value)
        person = await registry.person_of(named) or ""
    record = await registry.person_record(person) if person else PersonRecord("", (), (), ())
    found = {} if named is None else {named: None}
    found |= {link.identifier: None for link in record.links}
    for pair in record.pairs:
        if pair.unlinked_at is None and pair.person_id is not None:
            found |= {pair.device: None, pair.seen_with: None}
    found = {each: None for each in found if each.tenant_id == tenant_id}
    if not found:
        raise Unknown("nothing is known of this person")
    scopes = sorted({each.scope for each in found})
    if scope is not None and scope not in scopes:
        raise Unknown("nothing is known of this person in that scope")
    assert len(scopes) == 1, "a person is known in one scope"
    persons = {*record.person_ids, *(person_id(each) for each in found if each.kind == "device")} - {""}
    subject = Subject(tenant_id, scopes[0], tuple(sorted(persons)), tuple(sorted(found)))
    if not (record.links or record.pairs) and not any(
        (await counted(registry, warehouse, subject, say)).values()
    ):
        raise Unknown("nothing is known of this person")
    return subject, record


def compared(tenant_id: int, scope: str, kind: str, value: str) -> Identifier:
    """Return an identifier in the form in which it is compared."""
    known: Kind = kind  # type: ignore[assignment]  # the callers let no other through
    if kind == "email":
        value = identifiers.email(value)
    elif kind == "phone":
        value = normal(value).number or value
    return identifier(tenant_id, scope, known, value)


async def _scope_of(
    registry: SqlRegistry, warehouse: Warehouse, tenant_id: int, kind: str, value: str
) -> str:
    """Return where the tenant's only identifier of this kind and value is known."""
    wanted = compared(tenant_id, "", kind, value)
    scopes = [each.scope for each in await registry.find_identifiers(tenant_id, wanted.kind, wanted.value)]
    if not scopes and kind == "device":  # one that gave no name has no link
        rows = await warehouse.query(_DEVICES, {"tenant_id": tenant_id, "value": value})
        scopes = [row["dialect"] for row in rows]
    if not scopes:
        raise Unknown(f"nothing is known of this {kind}")
    if len(scopes) > 1:
        raise Ambiguous(sorted(scopes))
    return scopes[0]
