"""How the members of a group share a topic's partitions: evenly, and moving as few as possible."""

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct


class Moves(Struct, frozen=True):
    """What one member does next: partitions it gives up, and free ones it takes."""

    surplus: tuple[int, ...] = ()
    wanted: tuple[int, ...] = ()


def moves(
    member: str, *, members: Sequence[str], owners: Mapping[int, str], partitions: Collection[int]
) -> Moves:
    """Return the moves of `member`.

    `members` stand in the order they joined; `owners` maps a partition to the member that has it (a free
    one is missing). All members come to the same shares, so nobody has to lead.
    """
    share = _share(members.index(member), len(members), len(partitions))
    mine = sorted(p for p in partitions if owners.get(p) == member)
    if len(mine) > share:
        return Moves(surplus=tuple(mine[share:]))
    free = sorted(p for p in partitions if p not in owners)
    return Moves(wanted=tuple(free[: share - len(mine)]))


def _share(place: int, members: int, partitions: int) -> int:
    base, extra = divmod(partitions, members)
    return base + (place < extra)
