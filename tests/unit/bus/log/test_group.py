import pytest

from bus.base import Fenced, LogChanged
from bus.log.database import Database
from bus.log.group import LEASE_MS, Commit, Group, Lease, Position, needed, positions, usable
from bus.log.topic import Extent, State


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def one(group_file: Database, clock: Clock) -> Group:
    return Group(group_file, "t", "one", now_ms=clock)


@pytest.fixture
def two(group_file: Database, clock: Clock) -> Group:
    return Group(group_file, "t", "two", now_ms=clock)


def position(offset: int, note: str = "", inc: int = 1, log_id: str = "log") -> Position:
    return Position(inc, log_id, offset, note)


def test_a_lease_is_had_by_one_and_its_epoch_rises(one: Group, two: Group) -> None:
    one.renew([])
    two.renew([])
    assert set(one.claim([0, 1])) == {Lease(0, 1), Lease(1, 1)}
    assert two.claim([0, 1]) == {}
    one.release([Lease(0, 1)])
    assert set(two.claim([0, 1])) == {Lease(0, 2)}
    assert two.view().owners == {0: "two", 1: "one"}


def test_members_stand_in_the_order_they_joined(one: Group, two: Group) -> None:
    two.renew([])
    one.renew([])
    two.renew([])
    assert list(one.view().members) == ["two", "one"]


def test_a_dead_member_is_replaced_when_its_lease_has_run_out(one: Group, two: Group, clock: Clock) -> None:
    one.renew([])
    one.claim([0])
    clock.ms += LEASE_MS - 1
    two.renew([])
    assert two.claim([0]) == {}
    clock.ms += 1
    two.renew([])
    assert list(two.view().members) == ["two"]
    assert two.view().owners == {}
    assert set(two.claim([0])) == {Lease(0, 2)}
    assert one.renew([Lease(0, 1)]) == set()
    with pytest.raises(Fenced):
        one.commit([Commit(Lease(0, 1), position(5))])


def test_a_lease_that_ran_out_but_nobody_took_goes_on(one: Group, clock: Clock) -> None:
    one.renew([])
    one.claim([0])
    clock.ms += 10 * LEASE_MS
    assert one.renew([Lease(0, 1)]) == {Lease(0, 1)}
    assert one.view().owners == {0: "one"}
    one.commit([Commit(Lease(0, 1), position(5))])


def test_leases_of_before_a_reboot_count_for_nothing(one: Group, two: Group, clock: Clock) -> None:
    one.renew([])
    one.claim([0])
    clock.ms = 50  # the machine's clock of uptime starts anew
    two.renew([])
    assert list(two.view().members) == ["two"]
    assert set(two.claim([0])) == {Lease(0, 2)}


def test_a_commit_is_stored_whole_or_not_at_all(one: Group, two: Group, group_file: Database) -> None:
    for group in (one, two):
        group.renew([])
    one.claim([0])
    two.claim([1])
    with pytest.raises(Fenced, match="t/1 has another owner"):
        one.commit([Commit(Lease(0, 1), position(5)), Commit(Lease(1, 1), position(5))])
    assert positions(group_file, "t") == {}
    one.commit([Commit(Lease(0, 1), position(5, "e=9"))])
    assert positions(group_file, "t") == {0: position(5, "e=9")}
    assert one.claim([0]) == {Lease(0, 2): position(5, "e=9")}


def test_who_left_is_no_member_and_cannot_commit(one: Group, two: Group) -> None:
    for group in (one, two):
        group.renew([])
    one.claim([0])
    one.leave()
    assert list(two.view().members) == ["two"]
    with pytest.raises(Fenced):
        one.commit([Commit(Lease(0, 1), position(1))])


def test_topics_of_one_group_do_not_mix(one: Group, group_file: Database, clock: Clock) -> None:
    other = Group(group_file, "u", "one", now_ms=clock)
    for group in (one, other):
        group.renew([])
        group.claim([0])
    one.commit([Commit(Lease(0, 1), position(5))])
    assert positions(group_file, "u") == {}
    other.leave()
    assert one.view().owners == {0: "one"}


def test_a_group_needs_what_it_has_not_committed_until_it_is_forgotten(
    one: Group, group_file: Database
) -> None:
    assert needed(group_file, "t", "log") is None
    one.renew([])
    assert needed(group_file, "t", "log") == {}
    one.claim([0])
    one.commit([Commit(Lease(0, 1), position(5))])
    assert needed(group_file, "t", "log") == {0: 5}
    assert needed(group_file, "t", "a log made anew") == {}
    with group_file.writing(wait_s=1) as connection:
        connection.execute("UPDATE topics SET seen_at_s = seen_at_s - 31 * 24 * 3600")
    assert needed(group_file, "t", "log") is None


def test_a_position_is_used_in_its_own_log_only() -> None:
    state = State("log", {0: Extent(0, 10)})
    assert usable(None, 0, inc=1, state=state) is None
    assert usable(position(10), 0, inc=1, state=state) == position(10)
    assert usable(position(10), 0, inc=2, state=state) == position(10)
    with pytest.raises(LogChanged, match="the log ends at 10: it lost records"):
        usable(position(11), 0, inc=1, state=state)


def test_a_log_made_anew_stops_the_group_until_the_operator_says_so() -> None:
    state = State("another", {0: Extent(0, 10)})
    with pytest.raises(LogChanged, match="raise PENSTOCK_BUS_INCARNATION"):
        usable(position(5), 0, inc=1, state=state)
    assert usable(position(5), 0, inc=2, state=state) is None
