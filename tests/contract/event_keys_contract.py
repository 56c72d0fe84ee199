"""What the registry promises of event keys on every database: one owner for each, whoever asks at once."""

import asyncio
import random
import uuid

import pytest

from schemas.settings import Settings
from schemas.topics import Coordinates
from stores.registry import KeyClaim, SqlRegistry, open_registry
from tests.contract.registry_statements import plan_of, statements

UUID = "7f0f3c0e-0d0c-4a3e-9b1a-5a5f0c1d2e3f"


def at(offset: int, *, partition: int = 0, inc: int = 1) -> Coordinates:
    return Coordinates(inc, "events.raw", partition, offset)


def key(number: int) -> str:
    return str(uuid.UUID(int=number))


async def owners(registry: SqlRegistry, *claims: KeyClaim) -> list[Coordinates]:
    return [owner.at for owner in await registry.claim_keys(claims)]


class EventKeyContract:
    async def test_the_first_claim_wins_and_is_its_own_again(self, registry: SqlRegistry) -> None:
        first, second = KeyClaim(1, key(1), at(5)), KeyClaim(1, key(1), at(3, partition=1))
        assert await owners(registry, first) == [at(5)]
        for _ in range(2):  # decided once: a replay after a crash decides the same
            assert await owners(registry, second) == [at(5)]
            assert await owners(registry, first) == [at(5)]
        (owner,) = await registry.claim_keys([second])
        assert owner.first_event_id == key(1)

    async def test_all_four_coordinates_tell_records_apart(self, registry: SqlRegistry) -> None:
        await owners(registry, KeyClaim(1, key(1), at(5)))
        for other in (at(6), at(5, partition=1), at(5, inc=2), Coordinates(1, "events.other", 0, 5)):
            assert await owners(registry, KeyClaim(1, key(1), other)) == [at(5)]

    async def test_within_a_batch_the_first_wins(self, registry: SqlRegistry) -> None:
        batch = [KeyClaim(1, key(n % 3), at(n)) for n in (8, 7, 6, 5, 4, 3)]
        assert await owners(registry, *batch) == [at(8), at(7), at(6)] * 2

    async def test_keys_are_the_tenants_own(self, registry: SqlRegistry) -> None:
        assert await owners(registry, KeyClaim(1, key(1), at(1)), KeyClaim(2, key(1), at(2))) == [
            at(1),
            at(2),
        ]

    async def test_only_the_owner_releases(self, registry: SqlRegistry) -> None:
        first, second = KeyClaim(1, key(1), at(1)), KeyClaim(1, key(1), at(2))
        await owners(registry, first)
        await registry.release_keys([second])
        assert await owners(registry, second) == [at(1)]
        await registry.release_keys([first, first])
        assert await owners(registry, second) == [at(2)]
        assert await owners(registry, first) == [at(2)]
        await registry.release_keys([])
        assert await registry.claim_keys([]) == []

    async def test_a_large_batch_is_released_by_one_statement(self, registry: SqlRegistry) -> None:
        """One by one, they would take longer than the registry is waited for when its disk is busy."""
        claims = [KeyClaim(1 + n % 2, str(uuid.uuid4()), at(n)) for n in range(10_000)]
        await registry.claim_keys(claims)
        kept, released = claims[::3], [claim for n, claim in enumerate(claims) if n % 3]
        with statements(registry) as told:
            await registry.release_keys(released)
        assert len([one for one in told if "DELETE FROM event_keys" in one.sql]) == 1
        others = [KeyClaim(one.tenant_id, one.event_id, at(one.at.ko, inc=2)) for one in claims]
        owned = await owners(registry, *others)
        assert [owner.ko for owner in owned if owner.inc == 1] == [claim.at.ko for claim in kept]

    async def test_of_a_key_only_the_owner_s_claim_counts(self, registry: SqlRegistry) -> None:
        """A batch may have claims of several records on one key, and of a key twice."""
        first, second = KeyClaim(1, key(1), at(1)), KeyClaim(1, key(1), at(2))
        other = KeyClaim(2, key(1), at(3))
        await owners(registry, first, other)
        await registry.release_keys([second, second, KeyClaim(2, key(1), at(1))])
        assert await owners(registry, second, KeyClaim(2, key(1), at(9))) == [at(1), at(3)]
        await registry.release_keys([second, first, first])
        assert await owners(registry, second, KeyClaim(2, key(1), at(9))) == [at(2), at(3)]

    async def test_two_release_the_same_at_once(self, registry: SqlRegistry, settings: Settings) -> None:
        claims = [KeyClaim(1, str(uuid.uuid4()), at(n)) for n in range(500)]
        async with open_registry(settings) as other:
            for _ in range(5):
                await registry.claim_keys(claims)
                await asyncio.gather(
                    registry.release_keys(claims), other.release_keys(claims[::-1]), registry.claim_keys([])
                )
        assert await owners(registry, *(KeyClaim(1, one.event_id, at(7, inc=3)) for one in claims)) == [
            at(7, inc=3)
        ] * len(claims)

    async def test_a_replay_takes_the_claim_over_once(self, registry: SqlRegistry) -> None:
        dead = KeyClaim(1, key(1), at(1))
        replay, again = (KeyClaim(1, key(1), at(n), replay_of=at(1)) for n in (10, 11))
        await owners(registry, dead)
        for _ in range(2):
            assert await owners(registry, replay) == [at(10)]
            assert await owners(registry, again) == [at(10)]
            assert await owners(registry, dead) == [at(10)]

    async def test_of_two_replays_in_a_batch_the_first_wins(self, registry: SqlRegistry) -> None:
        await owners(registry, KeyClaim(1, key(1), at(1)))
        replays = [KeyClaim(1, key(1), at(n), replay_of=at(1)) for n in (11, 10)]
        assert await owners(registry, *replays) == [at(11), at(11)]

    async def test_a_replay_of_a_replay_in_one_batch_has_the_key(self, registry: SqlRegistry) -> None:
        """So it is after a crash between a letter's burial and its offset: both are read again."""
        await owners(registry, KeyClaim(1, key(1), at(1)), KeyClaim(1, key(2), at(2)))
        batch = [
            KeyClaim(1, key(1), at(11), replay_of=at(1)),
            KeyClaim(1, key(2), at(12), replay_of=at(2)),
            KeyClaim(1, key(1), at(13), replay_of=at(11)),
        ]
        assert await owners(registry, *batch) == [at(13), at(12), at(13)]

    async def test_a_large_batch_is_taken_over_by_one_statement(self, registry: SqlRegistry) -> None:
        claims = [KeyClaim(1 + n % 2, str(uuid.uuid4()), at(n)) for n in range(10_000)]
        await registry.claim_keys(claims)
        replays = [
            KeyClaim(one.tenant_id, one.event_id, at(n, inc=2), replay_of=at(n if n % 3 else n + 1))
            for n, one in enumerate(claims)
        ]
        with statements(registry) as told:
            owned = await owners(registry, *reversed(replays))
        [takeover] = [one for one in told if "UPDATE event_keys" in one.sql]
        plan = await plan_of(registry, takeover)
        assert "SCAN k" not in plan, "SQLite reads the whole table"
        assert owned[::-1] == [(replays if n % 3 else claims)[n].at for n in range(10_000)]

    async def test_two_workers_take_over_the_same_at_once(
        self, registry: SqlRegistry, settings: Settings
    ) -> None:
        async with open_registry(settings) as other:
            for round_ in range(5):
                claims = [KeyClaim(1, str(uuid.uuid4()), at(n)) for n in range(500)]
                await registry.claim_keys(claims)
                mine, yours = (
                    [KeyClaim(1, one.event_id, at(n, inc=inc), one.at) for n, one in enumerate(claims)]
                    for inc in (2 + round_, 12 + round_)
                )
                told = await asyncio.gather(owners(registry, *mine), owners(other, *yours[::-1]))
                assert told[0] == told[1][::-1]
                assert all(owner in (a.at, b.at) for owner, a, b in zip(told[0], mine, yours, strict=True))

    async def test_a_replay_after_the_release_claims_like_any_other(self, registry: SqlRegistry) -> None:
        dead, replay = KeyClaim(1, key(1), at(1)), KeyClaim(1, key(1), at(9), replay_of=at(1))
        await owners(registry, dead)
        await registry.release_keys([dead])
        assert await owners(registry, replay) == [at(9)]

    async def test_a_replay_takes_nothing_from_a_third(self, registry: SqlRegistry) -> None:
        await owners(registry, KeyClaim(1, key(1), at(5)))
        assert await owners(registry, KeyClaim(1, key(1), at(9), replay_of=at(1))) == [at(5)]

    async def test_a_batch_of_ten_thousand(self, registry: SqlRegistry) -> None:
        batch = [KeyClaim(n % 7, str(uuid.uuid4()), at(n)) for n in range(10_000)]
        assert await owners(registry, *batch) == [claim.at for claim in batch]
        later = [KeyClaim(claim.tenant_id, claim.event_id, at(n, inc=2)) for n, claim in enumerate(batch)]
        assert await owners(registry, *later) == [claim.at for claim in batch]
        await registry.release_keys(batch[:5_000])
        assert await owners(registry, *later) == [
            (after if n < 5_000 else before).at
            for n, (before, after) in enumerate(zip(batch, later, strict=True))
        ]

    @pytest.mark.parametrize("event_id", ["", "x", UUID.upper(), UUID + "\n", UUID[:-1], "\0"])
    async def test_an_id_that_is_no_uuid_is_a_bug(self, registry: SqlRegistry, event_id: str) -> None:
        with pytest.raises(ValueError, match="UUID"):
            await registry.claim_keys([KeyClaim(1, key(1), at(1)), KeyClaim(1, event_id, at(2))])
        assert await owners(registry, KeyClaim(1, key(1), at(3))) == [at(3)]

    async def test_two_workers_at_once_agree(self, settings: Settings, registry: SqlRegistry) -> None:
        chance = random.Random(7)
        async with open_registry(settings) as other:
            for round_ in range(10):
                keys = [str(uuid.uuid4()) for _ in range(400)]
                batches = []
                for worker in range(4):
                    chance.shuffle(keys)
                    batches.append(
                        [KeyClaim(1, k, at(n, partition=worker, inc=round_ + 1)) for n, k in enumerate(keys)]
                    )
                answers = await asyncio.gather(
                    *(
                        claimant.claim_keys(batch)
                        for claimant, batch in zip((registry, other) * 2, batches, strict=True)
                    )
                )
                told = [
                    {claim.event_id: owner.at for claim, owner in zip(batch, answer, strict=True)}
                    for batch, answer in zip(batches, answers, strict=True)
                ]
                assert told[0] == told[1] == told[2] == told[3]
                asked = {(claim.event_id, claim.at) for batch in batches for claim in batch}
                assert set(told[0].items()) <= asked

    async def test_claims_while_others_release(self, settings: Settings, registry: SqlRegistry) -> None:
        keys = [key(n) for n in range(200)]
        mine = [KeyClaim(1, k, at(n)) for n, k in enumerate(keys)]
        yours = [KeyClaim(1, k, at(n, partition=1)) for n, k in enumerate(reversed(keys))]

        async def come_and_go(other: SqlRegistry) -> None:
            for _ in range(15):
                await other.claim_keys(yours)
                await other.release_keys(yours)

        async with open_registry(settings) as other:
            going = asyncio.create_task(come_and_go(other))
            while not going.done():
                for claim, owner in zip(mine, await registry.claim_keys(mine), strict=True):
                    assert owner.at.ko in range(200)
                    assert owner.first_event_id == claim.event_id
                await registry.release_keys(mine)
            await going
        assert await owners(registry, *mine) == [claim.at for claim in mine]
