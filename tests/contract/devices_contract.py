"""Who is behind a device: the rules of relo's and alana's identity, over any registry."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.persons import Identifier, Override, person_id
from schemas.settings import Settings
from stores.base import StoreUnavailable
from stores.registry import EntryRefused, SqlRegistry, open_registry, person_merges
from tests.contract.person_events import TENANT, Desk, event, fresh, shared, visit
from workers.stage import Unavailable
from workers.stages.person import SHARED_DEVICE


def device(value: str, scope: str = "alana") -> Identifier:
    return Identifier(TENANT, scope, "device", value)


def user(value: str, scope: str = "alana") -> Identifier:
    return Identifier(TENANT, scope, "id", value)


class DevicesContract:
    async def test_a_device_is_a_person_of_its_own(self, desk: Desk) -> None:
        first, other, elsewhere, relo = await desk.judge(
            visit(1, "visitor-1"),
            visit(2, "visitor-2"),
            visit(3, "visitor-1", tenant_id=2),
            visit(4, "visitor-1", dialect="relo"),
        )
        assert len({first, other, elsewhere, relo}) == 4
        assert first == person_id(device("visitor-1"))
        assert await desk.person(visit(5, "visitor-1", source="another key")) == first

    async def test_a_user_seen_with_a_device_is_its_person(self, desk: Desk) -> None:
        before, seen, after = await desk.judge(
            visit(1, "visitor-1"), visit(2, "visitor-1", "user-1"), visit(3, "visitor-1")
        )
        assert before == seen == after
        assert desk.warehouse.rows == []  # nobody turned out to be another

    async def test_a_second_device_of_a_user_is_the_same_person(self, desk: Desk) -> None:
        worker = desk.worker()
        person = await desk.person(visit(1, "visitor-1", "user-1"), by=worker)
        anonymous = await desk.person(visit(2, "visitor-2"), by=worker)
        assert anonymous != person
        assert await desk.person(visit(3, "visitor-2", "user-1"), visit(4, "visitor-2"), by=worker) == person
        # What was stored before is seen as theirs, and not rewritten.
        assert desk.warehouse.seen_as(anonymous) == person

    async def test_users_on_one_device_are_one_person_to_queries(self, desk: Desk) -> None:
        first, second, third = await desk.judge(
            visit(1, "visitor-1", "user-1"), visit(2, "visitor-2", "user-2"), visit(3, "visitor-2", "user-1")
        )
        assert (first, third) == (person_id(device("visitor-1")),) * 2
        assert second == person_id(device("visitor-2"))
        assert desk.warehouse.seen_as(second) == desk.warehouse.seen_as(first)

    async def test_merges_that_go_round_in_a_circle_end(self, desk: Desk) -> None:
        persons = await desk.judge(*(visit(n, f"visitor-{n}", f"user-{n}") for n in range(4)))
        for n in range(4):  # each in a batch of its own, as of four partitions
            await desk.judge(visit(10 + n, f"visitor-{n}", f"user-{(n + 1) % 4}"))
        assert len({desk.warehouse.seen_as(person) for person in persons}) == 1

    async def test_of_two_persons_the_one_with_more_devices_stays(self, desk: Desk) -> None:
        """A user of a million devices changes nobody's place, whoever signs in on the first of them."""
        many = await desk.person(*(visit(n, f"visitor-{n}", "user-1") for n in range(4)))
        other = await desk.person(visit(10, "visitor-10", "user-2"))
        told = len(desk.warehouse.rows)
        assert await desk.person(visit(11, "visitor-0", "user-2")) == other
        assert desk.warehouse.seen_as(other) == many
        assert [(row.person_id, row.canonical_id) for row in desk.warehouse.rows[told:]] == [(other, many)]
        await desk.judge(fresh(visit(11, "visitor-0", "user-2")))  # after a crash it is told again
        assert desk.warehouse.rows[told:] == desk.warehouse.rows[told : told + 1] * 2

    async def test_few_move_at_once(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        """A batch that would move more is merged in several transactions, each of which stands."""
        monkeypatch.setattr(person_merges, "MOVED_MAX", 4)
        put, written = person_merges.put, []

        async def counted(connection: AsyncConnection, overrides: Sequence[Override]) -> None:
            written.append(len(overrides))
            await put(connection, overrides)

        groups = range(8)  # a user of three devices each: two are seen as the first
        await desk.judge(*(visit(n, f"visitor-{n % 8}-{n // 8}", f"user-{n % 8}") for n in range(24)))
        firsts = [person_id(device(f"visitor-{n}-0")) for n in groups]
        monkeypatch.setattr(person_merges, "put", counted)
        await desk.judge(*(visit(100 + n, f"visitor-{n}-0", f"user-{n + 1}") for n in groups if n % 2 == 0))
        assert written == [6, 6]  # two of the first devices, and the two others of each
        seen = [desk.warehouse.seen_as(person) for person in firsts]
        assert [seen[n] == seen[n + 1] for n in range(7)] == [True, False] * 3 + [True]
        for n in range(24):
            assert desk.warehouse.seen_as(person_id(device(f"visitor-{n % 8}-{n // 8}"))) == seen[n % 8]

    async def test_two_large_persons_stay_two(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(person_merges, "MOVED_MAX", 2)
        for user, count in (("user-1", 4), ("user-2", 5), ("user-3", 3)):
            await desk.judge(*(visit(n, f"{user}-{n}", user) for n in range(count)))
        one, two, three = (person_id(device(f"user-{n}-0")) for n in (1, 2, 3))
        await desk.judge(visit(20, "user-1-0", "user-2"))
        assert "stay two" in caplog.text
        assert desk.warehouse.seen_as(one) == one != desk.warehouse.seen_as(two) == two
        await desk.judge(visit(21, "user-3-0", "user-2"))  # of three devices: two are seen as the first
        assert desk.warehouse.seen_as(three) == two

    async def test_two_workers_merge_the_same_persons_at_once(
        self, settings: Settings, registry: SqlRegistry, desk: Desk
    ) -> None:
        async with open_registry(settings) as second:
            one, two = desk.worker(), Desk(second, desk.warehouse).worker()
            persons = await desk.judge(*(visit(n, f"visitor-{n}", f"user-{n}", kp=n % 2) for n in range(60)))
            for step in (1, 7, 11):  # every device sees the users of others, from both sides
                seen = [
                    visit(100 * step + n, f"visitor-{n}", f"user-{(n + step) % 60}", kp=n % 2)
                    for n in range(60)
                ]
                await asyncio.gather(one.judge(seen[::2]), two.judge(seen[1::2]))
        assert len({desk.warehouse.seen_as(person) for person in persons}) == 1
        record = await desk.registry.person_record(str(persons[0]))
        assert set(record.person_ids) == set(persons)

    async def test_email_and_phone_link_like_the_user(self, desk: Desk) -> None:
        both = event(1, dialect="relo", anonymous_id="did-1", user_id="user-1", email="a@example.com")
        person = await desk.person(both)
        assert both.profile == {"id": '"user-1"', "email": '"a@example.com"'}
        by_email = event(
            2, dialect="relo", anonymous_id="did-2", email="a@example.com", phone="+525512345678"
        )
        by_phone = event(3, dialect="relo", anonymous_id="did-3", phone="+52 55 1234 5678")
        assert await desk.person(by_email, by_phone) == person
        assert by_phone.profile == {"phone": '"+525512345678"'}

    @pytest.mark.parametrize("text", ["not an address", "5512345678", "call me"])
    async def test_what_is_no_address_and_no_number_links_nothing(self, desk: Desk, text: str) -> None:
        first = event(1, dialect="relo", anonymous_id="did-1", email=text, phone=text)
        second = event(2, dialect="relo", anonymous_id="did-2", email=text, phone=text)
        found = await desk.judge(first, second)
        assert found == [person_id(device(did, "relo")) for did in ("did-1", "did-2")]
        assert first.profile == {}

    @pytest.mark.parametrize(
        "placeholder", ["guest", "undefined", "UNKNOWN", "0", "u1", "00000000-0000-0000-0000-000000000000"]
    )
    async def test_a_placeholder_links_nothing(self, desk: Desk, placeholder: str) -> None:
        users = await desk.judge(visit(1, "visitor-1", placeholder), visit(2, "visitor-2", placeholder))
        assert users == [person_id(device(value)) for value in ("visitor-1", "visitor-2")]
        known = await desk.judge(visit(3, placeholder, "user-1"), visit(4, placeholder, "user-2"))
        assert known == [person_id(user("user-1")), person_id(user("user-2"))]
        alone = await desk.judge(visit(5, placeholder))
        assert alone == [person_id(device("u1")) if placeholder == "u1" else None]
        assert desk.warehouse.rows == []

    async def test_a_device_of_too_many_users_links_no_more(self, desk: Desk) -> None:
        users = [visit(n, "kiosk-1", f"user-{n}") for n in range(8)]
        persons = await desk.judge(*users)
        assert [SHARED_DEVICE in each.flags for each in users] == [False] * 5 + [True] * 3
        assert len({desk.warehouse.seen_as(person) for person in persons[:5]}) == 1
        assert persons[5:] == [person_id(user(f"user-{n}")) for n in (5, 6, 7)]
        again = [visit(20, "kiosk-1"), visit(21, "kiosk-1", "user-0"), visit(22, "kiosk-1", "user-7")]
        assert await desk.judge(*again) == [persons[0], persons[0], persons[7]]
        assert all(each.flags == [SHARED_DEVICE] for each in again)
        home = visit(30, "phone-7", "user-7")
        assert await desk.person(home) == persons[7]
        assert home.flags == []

    async def test_how_many_is_a_setting(self, desk: Desk) -> None:
        users = [visit(n, "kiosk-1", f"user-{n}", settings=shared(1)) for n in range(3)]
        assert len(set(await desk.judge(*users))) == 3
        assert [each.flags for each in users] == [[], [SHARED_DEVICE], [SHARED_DEVICE]]
        assert desk.warehouse.rows == []

    async def test_a_known_device_is_judged_in_its_order(self, desk: Desk) -> None:
        """Also within a batch in which some of its events are remembered."""
        worker = desk.worker()
        owner = await desk.person(visit(1, "visitor-1", "user-1", kp=1), by=worker)
        own = await desk.person(visit(2, "visitor-2"), by=worker)
        batch = [visit(3, "visitor-2"), visit(4, "visitor-2", "user-1"), visit(5, "visitor-2")]
        assert await desk.judge(*batch, by=worker) == [own, owner, owner]
        assert await desk.judge(*map(fresh, batch), by=worker) == [own, owner, owner]
        assert await desk.judge(*map(fresh, batch)) == [own, owner, owner]

    async def test_a_replay_finds_what_was_found_first(self, desk: Desk) -> None:
        await desk.judge(visit(1, "visitor-0", "user-1", kp=1))
        batch = [visit(10, "visitor-1"), visit(11, "visitor-1", "user-1"), visit(12, "visitor-1")]
        batch += [visit(20 + n, "visitor-1", f"user-{n}") for n in range(7)]
        first = await desk.judge(*batch)
        flags = [list(each.flags) for each in batch]
        for start in range(len(batch)):
            again = [fresh(each) for each in batch[start:]]
            assert await desk.judge(*again) == first[start:]
            assert [each.flags for each in again] == flags[start:]

    async def test_a_merge_that_the_warehouse_missed_is_told_again(self, desk: Desk) -> None:
        worker = desk.worker()
        person = await desk.person(visit(1, "visitor-1", "user-1"), by=worker)
        own = await desk.person(visit(2, "visitor-2"), by=worker)
        desk.warehouse.fails.append(StoreUnavailable("down"))
        linking = visit(3, "visitor-2", "user-1")
        with pytest.raises(Unavailable):
            await desk.judge(linking, by=worker)
        assert desk.warehouse.seen_as(own) == own
        assert await desk.person(fresh(linking), by=worker) == person
        assert desk.warehouse.seen_as(own) == person
        desk.warehouse.rows.clear()  # a crash after the registry had it: another worker says it again
        assert await desk.person(fresh(linking)) == person
        assert desk.warehouse.seen_as(own) == person

    async def test_a_link_that_another_worker_made_is_seen_after_a_takeover(self, desk: Desk) -> None:
        one, two = desk.worker(), desk.worker()
        person = await desk.person(visit(1, "visitor-1", "user-1", kp=1), by=one)
        assert await desk.person(visit(2, "visitor-2"), by=one) != person
        assert await desk.person(visit(3, "visitor-2", "user-1"), by=two) == person
        one.taken_over(visit(4, "x").at)  # type: ignore[arg-type]
        assert await desk.person(visit(4, "visitor-2"), by=one) == person

    async def test_an_operator_parts_a_device_from_a_user(self, desk: Desk) -> None:
        worker = desk.worker()
        worker._fresh_s = 0
        person = await desk.person(visit(1, "visitor-1", "user-1"), by=worker)
        own = await desk.person(visit(2, "visitor-2"), by=worker)
        assert await desk.person(visit(3, "visitor-2", "user-1"), by=worker) == person
        pair, overrides = await desk.registry.unlink_device(device("visitor-2"), user("user-1"))
        desk.warehouse.add(overrides)
        assert pair.person_id == person
        assert desk.warehouse.seen_as(own) == own
        assert await desk.person(visit(4, "visitor-2"), by=worker) == own
        # They are not linked again, and the user is still who it was.
        assert await desk.person(visit(5, "visitor-2", "user-1"), by=worker) == person
        assert await desk.person(visit(6, "visitor-2"), by=worker) == own
        again, overrides = await desk.registry.unlink_device(device("visitor-2"), user("user-1"))
        assert again == pair
        assert {override.canonical_id for override in overrides if override.person_id == own} == {own}
        with pytest.raises(EntryRefused):
            await desk.registry.unlink_device(device("visitor-3"), user("user-1"))

    async def test_a_user_parted_from_its_first_device_is_somebody_else(self, desk: Desk) -> None:
        worker = desk.worker()
        worker._fresh_s = 0
        person = await desk.person(visit(1, "visitor-1", "user-1"), by=worker)
        second = await desk.person(visit(2, "visitor-2"), by=worker)
        await desk.judge(visit(3, "visitor-2", "user-1"), by=worker)
        _, overrides = await desk.registry.unlink_device(device("visitor-1"), user("user-1"))
        desk.warehouse.add(overrides)
        assert await desk.person(visit(4, "visitor-1"), by=worker) == person
        parted = await desk.person(visit(5, "visitor-1", "user-1"), visit(6, "visitor-2"), by=worker)
        assert parted != person
        assert desk.warehouse.seen_as(second) == desk.warehouse.seen_as(parted)
        assert desk.warehouse.seen_as(person) == person

    async def test_a_user_with_devices_is_parted_from_one_of_them(self, desk: Desk) -> None:
        await desk.judge(visit(1, "visitor-1", "user-1"))
        with pytest.raises(EntryRefused, match="name the one"):
            await desk.registry.unlink_identifier(user("user-1"))

    async def test_the_record_has_all_who_are_one(self, desk: Desk) -> None:
        first, second = await desk.judge(visit(1, "visitor-1", "user-1"), visit(2, "visitor-2", "user-2"))
        await desk.judge(visit(3, "visitor-2", "user-1"))
        for asked in (first, second):
            assert asked is not None
            record = await desk.registry.person_record(asked)
            assert set(record.person_ids) == {first, second}
            assert {link.identifier.value for link in record.links} == {"user-1", "user-2"}
            assert {(pair.device.value, pair.seen_with.value) for pair in record.pairs} == {
                ("visitor-1", "user-1"),
                ("visitor-2", "user-2"),
                ("visitor-2", "user-1"),
            }
        assert await desk.registry.find_identifiers(TENANT, "device", "visitor-2") == [device("visitor-2")]
        assert await desk.registry.person_of(device("visitor-2")) == second
        assert await desk.registry.person_of(device("visitor-9")) == person_id(device("visitor-9"))
