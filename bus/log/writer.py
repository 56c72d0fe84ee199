"""Group commit: one thread per topic writes all publishes that wait, in one transaction."""

import asyncio
import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal

from bus.base import BusUnavailable, Record
from bus.log import topic
from bus.log.block import Block, pack
from bus.log.database import Database
from bus.log.retention import Retention
from bus.partitioner import partition_of

COMMIT_BYTES_MAX = 16 * 2**20
"""Record bytes that one transaction takes, so that the first in it does not wait for too many others."""

CHECKPOINT_WAIT_S = 1.0

_log = logging.getLogger(__name__)


class _Job:
    """A publish that waits. `state` is changed under the writer's condition only."""

    def __init__(self, records: Sequence[Record], deadline_s: float) -> None:
        self.records = records
        self.size_bytes = sum(len(record[0]) + len(record[1]) for record in records)
        self.give_up_at = time.monotonic() + deadline_s
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self.loop.create_future()
        self.state: Literal["queued", "writing", "withdrawn"] = "queued"


class Writer:
    """Publishes to one topic file. The thread starts with the first publish."""

    def __init__(self, database: Database, retention: Retention) -> None:
        self._database = database
        self._retention = retention
        self._partitions = 0
        self._queue: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    async def publish(self, records: Sequence[Record], deadline_s: float) -> None:
        """Return when the records are on the disk; no records: when something else is (a probe).

        Raises BusUnavailable. What still waited at the deadline, or when the caller was cancelled, is
        withdrawn and never written.
        """
        job = self._enqueue(records, deadline_s)
        try:
            await asyncio.wait([job.done], timeout=deadline_s)
        except asyncio.CancelledError:
            self._withdraw(job)
            raise
        if job.done.done():
            return job.done.result()
        fate = "they were not written" if self._withdraw(job) else "they may have been written"
        raise BusUnavailable(f"{self._database.path.name}: no commit within {deadline_s:g} s; {fate}")

    async def end(self) -> None:
        """Write what waits, then stop the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _enqueue(self, records: Sequence[Record], deadline_s: float) -> _Job:
        job = _Job(records, deadline_s)
        with self._changed:
            if self._closing:
                raise BusUnavailable("the bus is closed")
            self._queue.append(job)
            self._changed.notify()
        if self._thread is None:
            # A daemon: a process may end although another one, frozen, holds the file's lock.
            self._thread = threading.Thread(target=self._run, name=self._database.path.stem, daemon=True)
            self._thread.start()
        return job

    def _withdraw(self, job: _Job) -> bool:
        with self._changed:
            if job.state == "queued":
                job.state = "withdrawn"
            return job.state == "withdrawn"

    def _run(self) -> None:
        while jobs := self._next():
            self._settle(jobs, self._write(jobs))
            self._tidy()
        self._database.close()

    def _next(self) -> list[_Job]:
        """Wait for jobs; return as many as one transaction takes, or none when closing."""
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            jobs: list[_Job] = []
            size_bytes = 0
            while self._queue and size_bytes < COMMIT_BYTES_MAX:
                job = self._queue.popleft()
                if job.state == "queued":
                    jobs.append(job)
                    size_bytes += job.size_bytes
            return jobs

    def _write(self, jobs: Sequence[_Job]) -> Exception | None:
        try:
            # Packed before the file's lock is taken: other processes want it too.
            blocks = self._pack(jobs)
            patience_s = max(job.give_up_at for job in jobs) - time.monotonic()
            with self._database.writing(max(0.0, patience_s)) as connection:
                kept = self._start(jobs)
                if len(kept) < len(jobs):
                    blocks = self._pack(kept)
                self._database.wrote(topic.append(connection, blocks))
                if not blocks:
                    topic.touch(connection)
        except Exception as error:  # noqa: BLE001 - a job that cannot be packed must not end the thread
            return error
        return None

    def _start(self, jobs: Sequence[_Job]) -> list[_Job]:
        """From here on a job cannot be withdrawn; return those that were not."""
        with self._changed:
            kept = [job for job in jobs if job.state == "queued"]
            for job in kept:
                job.state = "writing"
            return kept

    def _pack(self, jobs: Sequence[_Job]) -> Mapping[int, Sequence[Block]]:
        if self._partitions == 0:
            with self._database.reading() as connection:
                self._partitions = topic.partition_count(connection)
        parts: defaultdict[int, list[Record]] = defaultdict(list)
        for job in jobs:
            for record in job.records:
                parts[partition_of(record[0], self._partitions)].append(record)
        return {kp: pack(records) for kp, records in parts.items()}

    def _settle(self, jobs: Sequence[_Job], error: Exception | None) -> None:
        by_loop: defaultdict[asyncio.AbstractEventLoop, list[_Job]] = defaultdict(list)
        for job in jobs:
            by_loop[job.loop].append(job)
        for loop, mine in by_loop.items():
            _call_soon(loop, partial(_resolve, mine, error))

    def _tidy(self) -> None:
        """Checkpoint and delete what is too old; the publishers have their answers by now."""
        try:
            self._database.checkpoint(CHECKPOINT_WAIT_S)
            self._retention.run(self._database)
        except BusUnavailable as error:
            _log.warning("could not tidy up: %s", error)


def _resolve(jobs: Sequence[_Job], error: Exception | None) -> None:
    for job in jobs:
        if job.done.done():
            continue
        if error is None:
            job.done.set_result(None)
        else:
            job.done.set_exception(error)


def _call_soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:  # the loop was closed: nobody waits any more
        _log.debug("the publishers' event loop is closed")
