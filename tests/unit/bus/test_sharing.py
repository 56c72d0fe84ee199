from hypothesis import given
from hypothesis import strategies as st

from bus.sharing import Moves, moves


def test_who_is_alone_takes_everything() -> None:
    assert moves("a", members=["a"], owners={}, partitions=range(3)) == Moves(wanted=(0, 1, 2))


def test_a_second_member_waits_until_the_first_has_given_up_half() -> None:
    owners = dict.fromkeys(range(4), "a")
    assert moves("a", members=["a", "b"], owners=owners, partitions=range(4)) == Moves(surplus=(2, 3))
    assert moves("b", members=["a", "b"], owners=owners, partitions=range(4)) == Moves()
    freed = {0: "a", 1: "a"}
    assert moves("b", members=["a", "b"], owners=freed, partitions=range(4)) == Moves(wanted=(2, 3))


def test_what_is_even_is_left_alone() -> None:
    owners = {0: "b", 1: "a", 2: "b", 3: "a", 4: "a"}
    for member in ("a", "b"):
        assert moves(member, members=["a", "b"], owners=owners, partitions=range(5)) == Moves()


@given(
    st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8, unique=True),
    st.lists(st.sampled_from("abcdefghxyz"), max_size=20),
)
def test_any_start_ends_in_even_shares(members: list[str], start: list[str]) -> None:
    partitions = range(len(start))
    # x, y and z have died: what they had is free.
    owners = {kp: owner for kp, owner in enumerate(start) if owner in members}
    for _ in range(2):
        for member in members:
            todo = moves(member, members=members, owners=owners, partitions=partitions)
            for kp in todo.surplus:
                del owners[kp]
            for kp in todo.wanted:
                assert kp not in owners
                owners[kp] = member
    shares = [list(owners.values()).count(member) for member in members]
    assert sum(shares) == len(partitions)
    assert max(shares) - min(shares) <= 1
