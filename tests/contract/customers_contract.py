"""Who a customer is: the rules of redo's identity, over any registry."""

import asyncio
import random

import pytest

from schemas.event import Event
from schemas.persons import Identifier, customer_scope, person_id
from schemas.settings import Settings
from stores.registry import EntryRefused, SqlRegistry, open_registry
from tests.contract.person_events import STORE, TENANT, Desk, customer, fresh
from workers.stages.person import CONFLICT, PHONE_UNLIKELY

A, B, C = "a@example.com", "b@example.com", "c@example.com"
PHONE, OTHER_PHONE = "+525512345678", "+525587654321"


@pytest.fixture
def desk(registry: SqlRegistry) -> Desk:
    return Desk(registry)


def name(kind: str, value: str, store: str = STORE) -> Identifier:
    return Identifier(TENANT, customer_scope("redo", store), kind, value)  # type: ignore[arg-type]


class CustomersContract:
    @pytest.mark.parametrize("of", [("cust-1", "", ""), ("", A, ""), ("", "", PHONE), ("cust-1", A, PHONE)])
    async def test_nobody_matches_so_a_customer_is_made(self, desk: Desk, of: tuple[str, str, str]) -> None:
        made = await desk.person(customer(1, *of))
        first = next(
            name(kind, value) for kind, value in zip(("id", "email", "phone"), of, strict=True) if value
        )
        assert made == person_id(first)
        for alone in ((of[0], "", ""), ("", of[1], ""), ("", "", of[2])):
            if any(alone):
                assert await desk.person(customer(2, *alone)) == made

    async def test_the_id_decides_before_the_email_and_the_email_before_the_phone(self, desk: Desk) -> None:
        by_id, by_email, by_phone = await desk.judge(
            customer(1, "cust-1"), customer(2, "", B), customer(3, "", "", PHONE)
        )
        assert len({by_id, by_email, by_phone}) == 3
        assert await desk.person(customer(4, "cust-1", B, PHONE)) == by_id
        assert await desk.person(customer(5, "", B, PHONE)) == by_email
        assert await desk.person(customer(6, "cust-9", "", PHONE)) == by_phone

    async def test_the_others_enrich_whom_lacks_them(self, desk: Desk) -> None:
        person = await desk.person(customer(1, "", A))
        assert await desk.person(customer(2, "", A, PHONE)) == person
        assert await desk.person(customer(3, "", "", PHONE)) == person
        assert await desk.person(customer(4, "cust-1", "", PHONE)) == person
        assert await desk.person(customer(5, "cust-1")) == person

    async def test_a_customer_has_one_of_each_kind(self, desk: Desk) -> None:
        person = await desk.person(customer(1, "cust-1", A))
        twice = customer(2, "cust-1", B)
        assert await desk.person(twice) == person
        assert twice.flags == [CONFLICT]
        assert twice.profile == {"id": '"cust-1"'}
        assert await desk.person(customer(3, "", B)) != person

    async def test_what_belongs_to_another_stays_there(self, desk: Desk) -> None:
        first, second = await desk.judge(customer(1, "cust-1", A), customer(2, "cust-2", B))
        both = customer(3, "cust-1", B)
        assert await desk.person(both) == first
        assert both.flags == [CONFLICT]
        assert "email" not in both.profile
        assert await desk.person(customer(4, "", B)) == second

    async def test_an_id_that_nobody_has_yet_becomes_somebody_s(self, desk: Desk) -> None:
        """Two ids that share an e-mail are one customer's as long as only one of them stands alone."""
        worker = desk.worker()
        first = await desk.person(customer(1, "cust-1", A), by=worker)
        assert await desk.person(customer(2, "cust-2", A), by=worker) == first
        second = await desk.person(customer(3, "cust-2"), by=worker)
        assert second != first
        assert await desk.person(customer(4, "cust-2", A), by=worker) == second

    async def test_who_came_without_an_id_is_found_by_the_fresh_one(self, desk: Desk) -> None:
        person = await desk.person(customer(1, "", A))
        assert await desk.person(customer(2, person, "", PHONE)) == person
        assert await desk.person(customer(3, "", "", PHONE)) == person
        assert await desk.registry.person_of(name("id", person)) == person
        elsewhere = customer(4, person, source="store-2")
        assert await desk.person(elsewhere) != person

    async def test_customers_are_their_store_s(self, desk: Desk) -> None:
        found = await desk.judge(
            customer(1, "cust-1", A),
            customer(2, "cust-1", A, source="store-2"),
            customer(3, "cust-1", A, tenant_id=2),
        )
        assert len(set(found)) == 3

    @pytest.mark.parametrize("placeholder", ["null", " Guest ", "0", "00000000-0000-0000-0000-000000000000"])
    async def test_a_placeholder_names_nobody(self, desk: Desk, placeholder: str) -> None:
        alone, first, second = (
            customer(1, placeholder),
            customer(2, placeholder, A),
            customer(3, placeholder, B),
        )
        found = await desk.judge(alone, first, second)
        assert found[0] is None
        assert alone.profile == {}
        assert found[1] != found[2]
        assert first.profile == {"email": f'"{A}"'}

    async def test_a_short_id_is_linked_with_nothing(self, desk: Desk) -> None:
        alone, with_email, other = await desk.judge(
            customer(1, "c1"), customer(2, "c1", A), customer(3, "c1", B)
        )
        assert len({alone, with_email, other}) == 3
        assert await desk.person(customer(4, "c1")) == alone

    async def test_a_phone_is_compared_as_it_is_dialled(self, desk: Desk) -> None:
        person = await desk.person(customer(1, "", "", "+442079460000"))
        assert await desk.person(customer(2, "", "", "+4402079460000")) == person

    async def test_a_number_of_no_plan_passes_and_is_flagged(self, desk: Desk) -> None:
        sent = customer(1, "", "", "+11234567890")
        person = await desk.person(sent)
        assert (sent.flags, sent.profile) == ([PHONE_UNLIKELY], {"phone": '"+11234567890"'})
        again = customer(2, "", "", "+11234567890")
        assert await desk.person(again) == person
        assert again.flags == [PHONE_UNLIKELY]

    async def test_a_value_of_any_length_is_found_again(self, desk: Desk) -> None:
        long, longer = "x" * 300, "x" * 32_000
        found = await desk.judge(customer(1, long), customer(2, longer), customer(3, long, A))
        assert found[0] == found[2] != found[1]
        sent, worker = customer(4, long), desk.worker()
        await desk.judge(sent, customer(5, "cust-1"), by=worker)
        assert sent.profile["id"] == f'"{long}"'
        assert await desk.judge(customer(6, long), by=worker) == [found[0]]
        assert len(worker._customers) == 1  # what is as long is asked for each time

    async def test_without_consent_nothing_is_looked_up_or_made(self, desk: Desk) -> None:
        none = customer(1, "cust-1", A, allowed=0, profile={"firstName": '"Ann"'})
        assert await desk.judge(none) == [None]
        assert none.profile == {}
        assert await desk.registry.person_of(name("email", A)) is None

    async def test_without_marketing_consent_the_profile_gains_nothing(self, desk: Desk) -> None:
        given = customer(1, "cust-1", A, allowed=3, profile={"firstName": '"Ann"'})
        assert await desk.judge(given) != [None]
        assert given.profile == {}

    async def test_a_replay_finds_what_was_found_first(self, desk: Desk) -> None:
        """Also where a later event took what an earlier one had given and not got."""
        batch = [
            customer(1, "cust-1", A),
            customer(2, "cust-2", A),  # A decides; cust-2 is nobody's yet
            customer(3, "cust-2"),  # a customer of its own
            customer(4, "cust-2", A),
            customer(5, "", B, PHONE),
            customer(6, "cust-3", "", PHONE),
        ]
        first = await desk.judge(*batch)
        assert first[1] != first[3]
        for start in range(len(batch)):
            assert await desk.judge(*(fresh(each) for each in batch[start:])) == first[start:]
        worker = desk.worker()
        assert await desk.judge(*map(fresh, batch), by=worker) == first
        assert await desk.judge(*map(fresh, batch), by=worker) == first

    async def test_how_a_log_is_cut_into_batches_changes_nothing(self, desk: Desk) -> None:
        draw = random.Random(7)
        kinds = (["cust-1", "cust-2", "cust-3", ""], [A, B, C, ""], [PHONE, OTHER_PHONE, ""])
        events: list[Event] = []
        while len(events) < 60:
            of = [draw.choice(kind) for kind in kinds]
            if any(of):
                events.append(customer(len(events), *of))
        first = await desk.judge(*map(fresh, events))
        worker, found = desk.worker(), []
        other = [fresh(each, tenant_id=2) for each in events]
        while other:
            cut = draw.randint(1, 9)
            found += await desk.judge(*other[:cut], by=worker)
            other = other[cut:]
        assert pattern(found) == pattern(first)

    async def test_a_batch_asks_the_registry_a_few_times(
        self, desk: Desk, registry: SqlRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever the number of its events; and not at all for those that are known."""
        asked: list[str] = []

        def counted(name: str) -> None:
            ask = getattr(registry, name)

            async def count(*given: object) -> object:
                asked.extend([name] if given[0] else [])
                return await ask(*given)

            monkeypatch.setattr(registry, name, count)

        for name in ("person_links", "links_of_persons", "device_pairs", "add_links", "add_pairs"):
            counted(name)
        worker = desk.worker()
        for start in (0, 500):
            events = [customer(start + n, f"cust-{n}", f"{n}@example.com") for n in range(500)]
            await desk.judge(*events, by=worker)
            assert asked == ["person_links", "add_links"]

    async def test_two_workers_meet_the_same_new_customers(
        self, settings: Settings, registry: SqlRegistry
    ) -> None:
        """Each from its own side, at once: by id and e-mail the one, by e-mail and phone the other."""
        async with open_registry(settings) as second:
            one, two = Desk(registry).worker(), Desk(second).worker()
            numbers = range(400)
            left = [customer(n, f"cust-{n}", f"{n}@example.com", kp=0) for n in numbers]
            right = [
                customer(n, "", f"{n}@example.com", f"+5255{10000000 + n}", kp=1) for n in reversed(numbers)
            ]
            for start in range(0, 400, 100):
                part = slice(start, start + 100)
                await asyncio.gather(one.judge(left[part]), two.judge(right[part]))
        of_left = [each.person_id for each in left]
        of_right = [each.person_id for each in reversed(right)]
        assert of_left == of_right
        assert len(set(of_left)) == 400
        again = await Desk(registry).judge(*(customer(1000 + n, f"cust-{n}") for n in numbers))
        phones = await Desk(registry).judge(
            *(customer(1000 + n, "", "", f"+5255{10000000 + n}") for n in numbers)
        )
        assert again == phones == of_left

    async def test_an_operator_parts_an_identifier_from_its_customer(self, desk: Desk) -> None:
        worker = desk.worker()
        worker._fresh_s = 0
        person = await desk.person(customer(1, "cust-1", A, PHONE), by=worker)
        link = await desk.registry.unlink_identifier(name("email", A))
        assert (link.person_id, link.reason) == (person, "created")
        assert await desk.registry.person_of(name("email", A)) is None
        assert await desk.registry.unlink_identifier(name("email", A)) == link
        # Not linked again, however often the two come together.
        assert await desk.person(customer(2, "cust-1", A), by=worker) == person
        alone = await desk.person(customer(3, "", A), by=worker)
        assert alone != person
        assert await desk.person(customer(4, "cust-1", A), by=worker) == person
        assert await desk.person(customer(5, "cust-1", C), by=worker) == person
        assert await desk.person(customer(6, "", C), by=worker) == person
        with pytest.raises(EntryRefused):
            await desk.registry.unlink_identifier(name("email", B))

    async def test_whoever_was_made_by_what_was_parted_stays(self, desk: Desk) -> None:
        person = await desk.person(customer(1, "", A, PHONE))
        await desk.registry.unlink_identifier(name("email", A))
        anew = await desk.person(customer(2, "", A))
        assert anew != person
        assert await desk.person(customer(3, "", "", PHONE)) == person
        await desk.registry.unlink_identifier(name("email", A))
        assert await desk.person(customer(4, "", A)) not in {anew, person}

    async def test_the_record_of_a_person_says_why_and_since_when(self, desk: Desk) -> None:
        person = await desk.person(customer(1, "cust-1", A))
        await desk.judge(customer(2, "cust-1", "", PHONE, kp=3))
        record = await desk.registry.person_record(person)
        assert (record.canonical_id, record.person_ids) == (person, [person])
        assert [(link.identifier, link.reason, link.at.ko, link.at.kp) for link in record.links] == [
            (name("email", A), "created", 1, 0),
            (name("id", "cust-1"), "created", 1, 0),
            (name("phone", PHONE), "enriched", 2, 3),
        ]
        assert record.links[2].event_id == customer(2, kp=3).event_id
        assert await desk.registry.find_identifiers(TENANT, "email", A) == [name("email", A)]


def pattern(persons: list[str | None]) -> list[int]:
    """Return who is whom, by the place where each came first."""
    return [persons.index(person) for person in persons]
