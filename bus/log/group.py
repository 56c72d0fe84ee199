"""One consumer group in one SQLite file: members, leases on partitions, positions with their notes."""

import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import astuple

from bus.base import Fenced, LogChanged
from bus.log.database import Database
from bus.log.topic import State

LEASE_MS = 10_000
"""A member that does not renew for so long is taken for dead."""

FORGET_S = 30 * 24 * 3600
"""A group that no member has joined for so long holds back no deletion."""

WAIT_S = 5.0

_SCHEMA = (
    "CREATE TABLE topics (topic TEXT PRIMARY KEY, seen_at_s INTEGER NOT NULL)",
    """CREATE TABLE members (topic TEXT, member TEXT, joined INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
       PRIMARY KEY (topic, member))""",
    """CREATE TABLE leases (topic TEXT, kp INTEGER, owner TEXT NOT NULL, epoch INTEGER NOT NULL,
       expires_ms INTEGER NOT NULL, PRIMARY KEY (topic, kp))""",
    """CREATE TABLE positions (topic TEXT, kp INTEGER, inc INTEGER NOT NULL, log_id TEXT NOT NULL,
       offset INTEGER NOT NULL, note TEXT NOT NULL, PRIMARY KEY (topic, kp))""",
)


class Position(Struct, frozen=True):
    """What was committed last, and of which log: an offset means nothing in another one."""

    inc: int
    log_id: str
    offset: int
    note: str


class Lease(Struct, frozen=True):
    """The right to read one partition and commit for it, until another epoch begins."""

    kp: int
    epoch: int


class View(Struct, frozen=True):
    """The living members in the order they joined, and who holds which partition (a free one is missing)."""

    members: Sequence[str]
    owners: Mapping[int, str]


class Commit(Struct, frozen=True):
    """A new position for a leased partition."""

    lease: Lease
    position: Position


def open_group(path: Path) -> Database:
    """Name the file of a group; it is made by its first use."""
    return Database(path, _make)


def _make(connection: sqlite3.Connection) -> None:
    for statement in _SCHEMA:
        connection.execute(statement)


def _monotonic_ms() -> int:
    # The same for all processes of a machine, and no one sets it back. After a reboot it starts anew;
    # `_live` tells the leases of before from those of now.
    return time.monotonic_ns() // 1_000_000


class Group:
    """A group's rows for one topic, as one member sees them. Every method is one transaction.

    All raise BusUnavailable. They block: call them through `Database.run`.
    """

    def __init__(
        self, database: Database, topic: str, member: str, *, now_ms: Callable[[], int] = _monotonic_ms
    ) -> None:
        self._database = database
        self._topic = topic
        self._member = member
        self._now_ms = now_ms

    def renew(self, leases: Collection[Lease]) -> set[Lease]:
        """Say that this member lives and go on with its leases; return those that nobody else has taken."""
        with self._database.writing(WAIT_S) as connection:
            now_ms = self._now_ms()
            self._enroll(connection, now_ms)
            connection.executemany(
                "UPDATE leases SET expires_ms = ? WHERE topic = ? AND kp = ? AND owner = ? AND epoch = ?",
                [(now_ms + LEASE_MS, self._topic, x.kp, self._member, x.epoch) for x in leases],
            )
            mine = {
                Lease(kp, epoch) for kp, epoch, owner, _ in self._rows(connection) if owner == self._member
            }
        self._database.checkpoint(WAIT_S)
        return mine & set(leases)

    def _enroll(self, connection: sqlite3.Connection, now_ms: int) -> None:
        connection.execute(
            "DELETE FROM members WHERE topic = ? AND member <> ? AND expires_ms NOT BETWEEN ? AND ?",
            (self._topic, self._member, now_ms + 1, now_ms + LEASE_MS),
        )
        connection.execute(
            """INSERT INTO members VALUES (?, ?,
               (SELECT coalesce(max(joined), 0) + 1 FROM members WHERE topic = ?), ?)
               ON CONFLICT DO UPDATE SET expires_ms = excluded.expires_ms""",
            (self._topic, self._member, self._topic, now_ms + LEASE_MS),
        )
        connection.execute("INSERT OR REPLACE INTO topics VALUES (?, ?)", (self._topic, int(time.time())))

    def view(self) -> View:
        """Return who lives and who holds what."""
        with self._database.reading() as connection:
            now_ms = self._now_ms()
            members = connection.execute(
                "SELECT member, expires_ms FROM members WHERE topic = ? ORDER BY joined", (self._topic,)
            ).fetchall()
            owners = {
                kp: x for kp, _, x, expires_ms in self._rows(connection) if x and _live(expires_ms, now_ms)
            }
        alive = [name for name, expires_ms in members if name == self._member or _live(expires_ms, now_ms)]
        return View(alive, owners)

    def claim(self, wanted: Collection[int]) -> dict[Lease, Position | None]:
        """Lease those of `wanted` that are free, each under a new epoch; return them with their positions."""
        with self._database.writing(WAIT_S) as connection:
            now_ms = self._now_ms()
            rows = {kp: (epoch, owner, expires_ms) for kp, epoch, owner, expires_ms in self._rows(connection)}
            leases = []
            for kp in wanted:
                epoch, owner, expires_ms = rows.get(kp, (0, "", 0))
                if owner in ("", self._member) or not _live(expires_ms, now_ms):
                    leases.append(Lease(kp, epoch + 1))
            connection.executemany(
                "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?)",
                [(self._topic, x.kp, self._member, x.epoch, now_ms + LEASE_MS) for x in leases],
            )
            positions = _positions(connection, self._topic)
        return {lease: positions.get(lease.kp) for lease in leases}

    def release(self, leases: Collection[Lease]) -> None:
        """Free partitions; they keep their epoch, so that the next owner begins another."""
        with self._database.writing(WAIT_S) as connection:
            connection.executemany(
                "UPDATE leases SET owner = '' WHERE topic = ? AND kp = ? AND owner = ? AND epoch = ?",
                [(self._topic, lease.kp, self._member, lease.epoch) for lease in leases],
            )

    def leave(self) -> None:
        """Free all that this member holds, and be no member any more."""
        with self._database.writing(WAIT_S) as connection:
            key = (self._topic, self._member)
            connection.execute("UPDATE leases SET owner = '' WHERE topic = ? AND owner = ?", key)
            connection.execute("DELETE FROM members WHERE topic = ? AND member = ?", key)

    def commit(self, commits: Sequence[Commit]) -> None:
        """Store all positions. Raises Fenced, with nothing stored, if any lease has another owner by now."""
        with self._database.writing(WAIT_S) as connection:
            held = {
                Lease(kp, epoch) for kp, epoch, owner, _ in self._rows(connection) if owner == self._member
            }
            for commit in commits:
                if commit.lease not in held:
                    raise Fenced(f"{self._topic}/{commit.lease.kp} has another owner by now")
            rows = [(self._topic, c.lease.kp, *astuple(c.position)) for c in commits]
            connection.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._database.checkpoint(WAIT_S)

    def _rows(self, connection: sqlite3.Connection) -> list[tuple[int, int, str, int]]:
        query = "SELECT kp, epoch, owner, expires_ms FROM leases WHERE topic = ?"
        return connection.execute(query, (self._topic,)).fetchall()


def positions(database: Database, topic: str) -> Mapping[int, Position]:
    """Return what the group has committed for a topic. Raises BusUnavailable."""
    with database.reading() as connection:
        return _positions(connection, topic)


def needed(database: Database, topic: str, log_id: str) -> Mapping[int, int] | None:
    """Return the first offset in this log that the group needs of each partition (a missing one: all of it).

    None if the group does not read the topic, or no longer.
    """
    with database.reading() as connection:
        row = connection.execute("SELECT seen_at_s FROM topics WHERE topic = ?", (topic,)).fetchone()
        if row is None or row[0] < time.time() - FORGET_S:
            return None
        found = _positions(connection, topic)
    return {kp: position.offset for kp, position in found.items() if position.log_id == log_id}


def usable(position: Position | None, kp: int, *, inc: int, state: State) -> Position | None:
    """Return a position if it is one of this log.

    None where there is none, or where the operator has raised `inc` since: the log was made anew, and is
    read from its start. Raises LogChanged if the log was made anew or cut short and nobody said so.
    """
    if position is None:
        return None
    if position.log_id != state.log_id:
        if position.inc < inc:
            return None
        raise LogChanged(f"partition {kp}: the log was made anew; raise PENSTOCK_BUS_INCARNATION by one")
    if position.offset > state.extents[kp].log_end:
        raise LogChanged(
            f"partition {kp}: offset {position.offset} was committed, but the log ends at "
            f"{state.extents[kp].log_end}: it lost records"
        )
    return position


def _positions(connection: sqlite3.Connection, topic: str) -> dict[int, Position]:
    query = "SELECT kp, inc, log_id, offset, note FROM positions WHERE topic = ? ORDER BY kp"
    return {kp: Position(*row) for kp, *row in connection.execute(query, (topic,))}


def _live(expires_ms: int, now_ms: int) -> bool:
    return now_ms < expires_ms <= now_ms + LEASE_MS
