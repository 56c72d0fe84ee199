"""Old records are deleted, but none that a group still has to read."""

import time
from collections.abc import Callable, Mapping
from sqlite3 import Connection

from bus.log import topic
from bus.log.database import PAGE_BYTES, Database

EVERY_S = 60.0
DELETE_WAIT_S = 1.0

Floors = Callable[[str], Mapping[int, int] | None]
"""Takes the log's id; returns the first offset that some group still needs of each partition.

A missing partition is needed from its start. None: no group reads the topic.
"""


class Retention:
    """Deletes blocks above 7 days or 10 GB (a topic), once a minute, in the thread of whoever writes.

    `floors` says what the groups still need: an acknowledged record that nobody has handled is never
    deleted. A full disk refuses new records instead.
    """

    def __init__(
        self,
        floors: Floors,
        *,
        age_s: float = topic.RETENTION_S,
        bytes_max: float = topic.RETENTION_BYTES,
        every_s: float = EVERY_S,
    ) -> None:
        self._floors = floors
        self._age_s = age_s
        self._bytes_max = bytes_max
        self._every_s = every_s
        self._next_at = time.monotonic()

    def run(self, database: Database) -> None:
        """Delete if it is time. Raises BusUnavailable."""
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + self._every_s
        with database.reading() as connection:
            state = topic.state(connection)
        floors = self._floors(state.log_id)
        for kp, extent in state.extents.items():
            floor = extent.log_end if floors is None else floors.get(kp, 0)
            while self._delete_some(database, kp, floor, self._bytes_max / len(state.extents)):
                pass

    def _delete_some(self, database: Database, kp: int, floor: int, bytes_max: float) -> bool:
        """Delete a part of what is due; return whether there may be more."""

        def find(connection: Connection) -> topic.Expired:
            return topic.expired(connection, kp, floor=floor, age_s=self._age_s, bytes_max=bytes_max)

        with database.reading() as connection:
            if find(connection).blocks == 0:
                return False
        with database.writing(DELETE_WAIT_S) as connection:
            found = find(connection)  # again: another process may have been first
            topic.delete(connection, kp, found)
        database.wrote(found.blocks * PAGE_BYTES)
        return found.blocks == topic.DELETE_BLOCKS_MAX
