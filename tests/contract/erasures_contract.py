"""What the registry promises about erasures and suppressed identifiers, on every database."""

import asyncio

import pytest

from schemas.erasures import Progress, Subject, digest
from schemas.persons import Identifier, Link, Merge, Pair, person_id
from schemas.tenants import Tenant
from schemas.topics import RAW, Coordinates
from stores.registry import EntryRefused, ErasureUnderWay, LeaseLost, SqlRegistry

EVENT_ID = "00000000-0000-7000-8000-000000000001"
AT = Coordinates(1, RAW, 0, 7)


def named(tenant_id: int, value: str, kind: str = "email", scope: str = "relo") -> Identifier:
    return Identifier(tenant_id, scope, kind, value)  # type: ignore[arg-type]


def subject(*identifiers: Identifier, persons: tuple[str, ...] = ()) -> Subject:
    return Subject(identifiers[0].tenant_id, identifiers[0].scope, persons, identifiers)


def link(identifier: Identifier, person: str) -> Link:
    return Link(identifier, person, "seen_together", EVENT_ID, AT, 1)


async def done(registry: SqlRegistry, erasure_id: str) -> None:
    assert await registry.lease_erasure(erasure_id, "me", 60_000) is not None
    await registry.finish_erasure(erasure_id, "me", Progress(erased={RAW: 3}))


class ErasureContract:
    async def test_a_request_suppresses_each_identifier(
        self, registry: SqlRegistry, shop: Tenant, rival: Tenant
    ) -> None:
        ann, device = named(shop.id, "ann@example.com"), named(shop.id, "device-1", "device")
        before = await registry.suppressions_after(0, 1000)
        seq = before[-1].seq if before else 0
        made = await registry.request_erasure(subject(ann, device), asked_by="ops", found={"events": 3})
        changes = await registry.suppressions_after(seq, 1000)
        assert [(each.tenant_id, each.digest, each.suppressed) for each in changes] == [
            (shop.id, digest(ann), True),
            (shop.id, digest(device), True),
        ]
        assert [each.seq for each in changes] == [seq + 1, seq + 2]
        assert await registry.suppressions_after(seq, 1) == changes[:1]
        theirs = digest(named(rival.id, "ann@example.com"))
        asked = [(shop.id, digest(ann)), (rival.id, digest(ann)), (rival.id, theirs)]
        assert await registry.suppressed_among(asked) == {(shop.id, digest(ann))}
        assert (await registry.erasure(made.erasure_id)) == made
        assert await registry.list_erasures(shop.id) == [made]
        assert await registry.list_erasures(rival.id) == []
        assert made.erasure_id in await registry.open_erasures()

    async def test_a_certificate_holds_no_value(self, registry: SqlRegistry, shop: Tenant) -> None:
        ann = named(shop.id, "ann@example.com")
        made = await registry.request_erasure(subject(ann), asked_by="ops", found={})
        assert made.subject is not None
        await done(registry, made.erasure_id)
        found = await registry.erasure(made.erasure_id)
        assert found is not None
        assert (found.state, found.subject, found.digests) == ("done", None, [digest(ann).hex()])
        assert found.progress.erased == {RAW: 3}
        assert found.finished_at is not None
        assert made.erasure_id not in await registry.open_erasures()
        assert (await registry.count_erasures())["done"] == 1

    async def test_of_two_requests_at_once_one_is_taken(self, registry: SqlRegistry, shop: Tenant) -> None:
        ann, mei, ben = (named(shop.id, f"{name}@example.com") for name in ("ann", "mei", "ben"))
        answers = await asyncio.gather(
            registry.request_erasure(subject(ann, mei), asked_by="a", found={}),
            registry.request_erasure(subject(mei, ben), asked_by="b", found={}),
            return_exceptions=True,
        )
        [refused] = [answer for answer in answers if isinstance(answer, ErasureUnderWay)]
        [made] = await registry.list_erasures(shop.id)
        assert refused.erasure_id == made.erasure_id
        numbers = [each.seq for each in await registry.suppressions_after(0, 1000)]
        assert len(numbers) == len(set(numbers)) == 2

    async def test_an_unknown_tenant_is_refused(self, registry: SqlRegistry) -> None:
        with pytest.raises(EntryRefused):
            await registry.request_erasure(subject(named(4_000, "x@y.z")), asked_by="ops", found={})

    async def test_one_process_at_a_time_works_on_it(self, registry: SqlRegistry, shop: Tenant) -> None:
        made = await registry.request_erasure(subject(named(shop.id, "a@b.c")), asked_by="ops", found={})
        assert await registry.lease_erasure(made.erasure_id, "one", 60_000) is not None
        assert await registry.lease_erasure(made.erasure_id, "other", 60_000) is None
        assert await registry.lease_erasure(made.erasure_id, "one", 60_000) is not None
        with pytest.raises(LeaseLost):
            await registry.save_erasure(made.erasure_id, "other", "erasing", Progress())
        with pytest.raises(LeaseLost):
            await registry.forget_person(made.erasure_id, "other", subject(named(shop.id, "a@b.c")))
        await registry.save_erasure(made.erasure_id, "one", "waiting_for_log", Progress(links=2))
        await registry.release_erasure(made.erasure_id, "one")
        taken = await registry.lease_erasure(made.erasure_id, "other", 60_000)
        assert taken is not None
        assert (taken.state, taken.progress.links) == ("waiting_for_log", 2)

    async def test_who_was_erased_can_be_taken_again(self, registry: SqlRegistry, shop: Tenant) -> None:
        ann = named(shop.id, "ann@example.com")
        with pytest.raises(EntryRefused, match="not suppressed"):
            await registry.unsuppress(ann, "came back")
        made = await registry.request_erasure(subject(ann), asked_by="ops", found={})
        with pytest.raises(EntryRefused, match="not done"):
            await registry.unsuppress(ann, "came back")
        await done(registry, made.erasure_id)
        await registry.unsuppress(ann, "came back")
        assert await registry.suppressed_among([(shop.id, digest(ann))]) == set()
        assert [each.suppressed for each in await registry.suppressions_after(0, 1000)][-1] is False
        # The next event makes another person than the one that was erased.
        [left] = await registry.person_links([ann])
        assert (left.person_id, left.unlinked_at is not None) == (person_id(ann), True)
        with pytest.raises(EntryRefused, match="not suppressed"):
            await registry.unsuppress(ann, "came back")
        again = await registry.request_erasure(subject(ann), asked_by="ops", found={})
        assert await registry.suppressed_among([(shop.id, digest(ann))]) == {(shop.id, digest(ann))}
        assert again.erasure_id != made.erasure_id

    async def test_the_registry_forgets_a_person_and_nobody_else(
        self, registry: SqlRegistry, shop: Tenant, rival: Tenant
    ) -> None:
        device, other = named(shop.id, "device-1", "device"), named(shop.id, "device-2", "device")
        ann, joann = named(shop.id, "ann@example.com"), named(shop.id, "joann@example.com")
        theirs = named(rival.id, "ann@example.com")
        persons = person_id(ann), person_id(device)
        await registry.add_links([link(ann, persons[0]), link(joann, person_id(joann))])
        await registry.add_links([link(theirs, person_id(theirs))])
        await registry.add_pairs(
            [
                Pair(device, ann, persons[0], EVENT_ID, AT, 1),
                Pair(other, joann, person_id(joann), EVENT_ID, AT, 1),
            ]
        )
        await registry.merge_persons([Merge(shop.id, persons[1], persons[0])])
        gone = subject(ann, device, persons=persons)
        epoch = await registry.person_epoch()
        made = await registry.request_erasure(gone, asked_by="ops", found={})
        assert await registry.lease_erasure(made.erasure_id, "me", 60_000) is not None
        assert await registry.forget_person(made.erasure_id, "me", gone) == 3
        assert await registry.forget_person(made.erasure_id, "me", gone) == 0
        counted = await registry.erasure(made.erasure_id)
        assert counted is not None
        assert counted.progress.links == 3
        assert await registry.person_epoch() == epoch + 1
        assert (await registry.person_record(persons[0])).links == []
        left = await registry.person_links([ann, joann, theirs])
        assert {each.identifier for each in left} == {joann, theirs}
        assert [pair.device for pair in await registry.device_pairs([device, other])] == [other]
