"""Who owns a partition, and what the group remembers."""

from collections.abc import Callable, Sequence

import pytest

from bus.base import Bus, Claim, Fenced, Mark, Record
from bus.partitioner import partition_of
from schemas.topics import Partition
from tests.contract.bus_members import PARTITIONS, Member, all_values, drain, owns, partitions, poll, records


class OwnershipContract:
    async def test_positions_and_notes_survive(
        self, open_handle: Callable[[], Bus], bus: Bus, topic: str
    ) -> None:
        home = Partition(topic, partition_of(b"k", PARTITIONS))
        note = "e=9;q=snk-" + "ñ" * 1990
        assert await bus.committed(topic, group="workers") == {}
        async with open_handle() as other:
            await other.publish(topic, [Record(b"k", str(i).encode()) for i in range(9)])
            member = Member()
            subscription = await other.subscribe(topic, group="workers", owner=member)
            await drain(subscription, 9)
            await subscription.commit([Mark(member.owned[home], 5, note)])
            await subscription.close()
        assert await bus.committed(topic, group="workers") == {home: (5, note)}
        member = Member()
        subscription = await bus.subscribe(topic, group="workers", owner=member)
        taken = await drain(subscription, 4)
        claim = member.owned[home]
        assert (claim.committed, claim.note, claim.log_start, claim.log_end) == (5, note, 0, 9)
        assert [record.offset for record in taken[home]] == [5, 6, 7, 8]
        await subscription.close()

    async def test_a_first_claim_has_no_position(self, bus: Bus, topic: str) -> None:
        member = Member()
        subscription = await bus.subscribe(topic, group="workers", owner=member)
        await owns(subscription, member, partitions(topic))
        for claim in member.owned.values():
            assert (claim.committed, claim.note, claim.log_start, claim.log_end) == (None, "", 0, 0)
            assert claim.inc == 1
        await subscription.close()

    async def test_a_position_may_go_back(self, bus: Bus, topic: str) -> None:
        home = Partition(topic, partition_of(b"k", PARTITIONS))
        await bus.publish(topic, [Record(b"k", b"v")] * 9)
        member = Member()
        subscription = await bus.subscribe(topic, group="workers", owner=member)
        await drain(subscription, 9)
        for offset in (9, 2):
            await subscription.commit([Mark(member.owned[home], offset)])
        assert await bus.committed(topic, group="workers") == {home: (2, "")}
        await subscription.close()

    async def test_a_note_that_is_too_long_is_refused(self, bus: Bus, topic: str) -> None:
        member = Member()
        subscription = await bus.subscribe(topic, group="workers", owner=member)
        await owns(subscription, member, partitions(topic))
        with pytest.raises(ValueError, match="4000"):
            await subscription.commit([Mark(member.owned[Partition(topic, 0)], 0, "x" * 4001)])
        assert await bus.committed(topic, group="workers") == {}
        await subscription.close()

    async def test_groups_know_nothing_of_each_other(self, bus: Bus, topic: str) -> None:
        await bus.publish(topic, records(40))
        for group in ("one", "two"):
            member = Member()
            subscription = await bus.subscribe(topic, group=group, owner=member)
            taken = await drain(subscription, 40)
            assert len(all_values(taken)) == 40
            await subscription.commit([Mark(member.owned[p], got[-1].offset + 1) for p, got in taken.items()])
            await subscription.close()
        assert await bus.committed(topic, group="one") == await bus.committed(topic, group="two")

    async def test_two_members_share_and_a_leaver_gives_back(
        self, open_handle: Callable[[], Bus], bus: Bus, topic: str
    ) -> None:
        first, second = Member(), Member()
        one = await bus.subscribe(topic, group="workers", owner=first)
        await owns(one, first, partitions(topic))
        async with open_handle() as other:
            two = await other.subscribe(topic, group="workers", owner=second)
            await poll((one, two), lambda: len(first.owned) == len(second.owned) == 2)
            assert set(first.owned) | set(second.owned) == set(partitions(topic))
            assert "revoked" in [name for name, _ in first.calls]
            await two.close()
            assert second.owned == {}
            await owns(one, first, partitions(topic))
        await one.close()
        assert first.owned == {}

    async def test_nothing_is_missed_when_partitions_move(
        self, open_handle: Callable[[], Bus], bus: Bus, topic: str
    ) -> None:
        class Finisher(Member):
            async def revoked(self, claims: Sequence[Claim]) -> None:
                marks = [Mark(c, done[c.partition]) for c in claims if c.partition in done]
                await subscriptions[self].commit(marks)
                await super().revoked(claims)

        done: dict[Partition, int] = {}
        first, second = Finisher(), Finisher()
        await bus.publish(topic, records(40, tag="a"))
        subscriptions = {first: await bus.subscribe(topic, group="workers", owner=first)}
        for partition, got in (await drain(subscriptions[first], 40)).items():
            done[partition] = got[-1].offset + 1
        async with open_handle() as other:
            subscriptions[second] = await other.subscribe(topic, group="workers", owner=second)
            both = tuple(subscriptions.values())
            await poll(both, lambda: len(first.owned) == len(second.owned) == 2)
            for partition, claim in second.owned.items():
                assert claim.committed == done.get(partition)
            await bus.publish(topic, records(40, tag="b"))
            values = await poll(both, lambda: False, 40)
            assert values == sorted(f"b{i}".encode() for i in range(40))
            for subscription in both:
                await subscription.close()

    async def test_a_commit_from_a_replaced_owner_stores_nothing(
        self, open_handle: Callable[[], Bus], bus: Bus, topic: str
    ) -> None:
        first, second = Member(), Member()
        await bus.publish(topic, records(40))
        one = await bus.subscribe(topic, group="workers", owner=first)
        await owns(one, first, partitions(topic))
        old = dict(first.owned)
        async with open_handle() as other:
            two = await other.subscribe(topic, group="workers", owner=second)
            await poll((one, two), lambda: len(first.owned) == len(second.owned) == 2)
            still, moved = next(iter(first.owned)), next(iter(second.owned))
            with pytest.raises(Fenced):
                await one.commit([Mark(first.owned[still], 1), Mark(old[moved], 1)])
            assert await bus.committed(topic, group="workers") == {}
            await two.commit([Mark(second.owned[moved], 1, "mine")])
            assert await bus.committed(topic, group="workers") == {moved: (1, "mine")}
            await two.close()
        await one.close()

    async def test_a_claim_is_not_good_for_a_later_ownership(self, bus: Bus, topic: str) -> None:
        member = Member()
        subscription = await bus.subscribe(topic, group="workers", owner=member)
        await owns(subscription, member, partitions(topic))
        old = dict(member.owned)
        await subscription.close()
        again = Member()
        subscription = await bus.subscribe(topic, group="workers", owner=again)
        await owns(subscription, again, partitions(topic))
        partition = Partition(topic, 0)
        assert again.owned[partition].epoch != old[partition].epoch
        with pytest.raises(Fenced):
            await subscription.commit([Mark(old[partition], 0)])
        await subscription.commit([Mark(again.owned[partition], 0)])
        await subscription.close()

    async def test_nothing_can_be_committed_after_close(self, bus: Bus, topic: str) -> None:
        member = Member()
        subscription = await bus.subscribe(topic, group="workers", owner=member)
        await owns(subscription, member, partitions(topic))
        claim = member.owned[Partition(topic, 0)]
        await subscription.close()
        with pytest.raises(Fenced):
            await subscription.commit([Mark(claim, 0)])
        assert await bus.committed(topic, group="workers") == {}
