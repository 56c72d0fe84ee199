"""Starts the whole system in order, keeps it running, and stops it in order.

A part may die in any way: it is started again. Only a signal, or a start that no retry can mend, ends
the supervisor. If the supervisor itself is killed, its parts end by themselves (deploy/dev/parent.py).
"""

import asyncio
import itertools
import math
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

from deploy.dev.child import Child, Inherited, Say, start
from deploy.dev.logs import LogFile
from deploy.dev.plan import Plan
from deploy.dev.rundir import RunDirectory
from deploy.dev.server import Server

LOOK_S = 0.5
SLOW_S = 15.0
IMPATIENT_S = 1.0


class StartFailed(RuntimeError):
    """The system cannot start as it is configured; the message says why."""


class Supervisor:
    """Use as an async context manager; leaving it stops every part, the last started first."""

    def __init__(self, run: RunDirectory, lock_fd: int, say: Say) -> None:
        self._run = run
        self._say = say
        self._inherited = Inherited(lock_fd)
        self._ranks: list[list[Child]] = []
        self._following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Supervisor":
        self._run.write_pid("supervisor", os.getpid())
        self._following = asyncio.create_task(self._follow_logs())
        return self

    async def __aexit__(self, *error: object) -> None:
        for rank in reversed(self._ranks):
            await asyncio.gather(*(child.stop() for child in rank))
        if self._following is not None:
            self._following.cancel()
        self._run.remove_ports()
        self._run.remove_pid("supervisor")

    async def start(self, plan: Plan) -> None:
        """Bring everything up and return when it serves. Raises StartFailed."""
        self._run.write_ports(plan.ports, plan.urls)
        await self._bring_up(plan.stores)
        await self._run_to_end(plan.migrate)
        # A later rank stops first: the gateways, before anything that they or the workers need.
        await self._bring_up(plan.workers, plan.gateways)

    def kill(self) -> None:
        """End every part at once."""
        for rank in self._ranks:
            for child in rank:
                child.signal(signal.SIGKILL)

    async def _bring_up(self, *ranks: Sequence[Server]) -> None:
        started = [
            [Child(server, self._run, self._inherited, self._say) for server in rank] for rank in ranks
        ]
        self._ranks += started
        reports = [
            asyncio.create_task(self._report_ready(child)) for child in itertools.chain.from_iterable(started)
        ]
        try:
            await asyncio.gather(*reports)
        finally:
            for report in reports:
                report.cancel()

    async def _report_ready(self, child: Child) -> None:
        waiting = asyncio.create_task(child.ready())
        try:
            while not (await asyncio.wait([waiting], timeout=SLOW_S))[0]:
                self._say(f"{child.server.name}: not ready yet, its log is {child.log.path}")
        finally:
            waiting.cancel()
        # Of a part that once served the same may be an accident: it is started again.
        if child.refused:
            raise StartFailed(f"{child.server.name}: {child.refused}")
        self._say(f"{child.server.name}: ready")

    async def _run_to_end(self, server: Server) -> None:
        log = LogFile(self._run.log, server.name)
        wait_s = 0.5
        while True:
            process = await start(server, log, self._inherited)
            try:
                status = await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
            if status == 0:
                self._say(f"{server.name}: done")
                return
            reason = log.last_line()
            if server.refusal and status == server.refusal:
                raise StartFailed(f"{server.name}: {reason}")
            self._say(f"{server.name}: {reason}; trying again in {wait_s:.1f} s, its log is {log.path}")
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, 10.0)

    async def _follow_logs(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for rank in self._ranks:
                for child in rank:
                    with suppress(OSError):  # a full disk stops the logs, not the system
                        child.log.look(self._say)


async def supervise(
    plan: Plan, run: RunDirectory, lock_fd: int, *, say: Say, welcome: Callable[[], None], follow_parent: bool
) -> None:
    """Run the system until a signal asks to stop, or the caller's process is gone.

    `welcome` is called when everything serves. Raises StartFailed.
    """
    stop = asyncio.Event()
    async with Supervisor(run, lock_fd, say) as supervisor:
        _on_signals(stop, supervisor, say)
        starting = asyncio.create_task(supervisor.start(plan))
        stopping = asyncio.create_task(_wait_for_stop(stop, follow_parent=follow_parent))
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            welcome()
            await stopping
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        say("stopping")
    say("stopped; every accepted event is on disk")


def _on_signals(stop: asyncio.Event, supervisor: Supervisor, say: Say) -> None:
    loop = asyncio.get_running_loop()
    first_s = math.inf

    def on_signal() -> None:
        nonlocal first_s
        first_s = min(first_s, loop.time())
        # Make hands a signal on that its whole process group got: two at once are one wish.
        if loop.time() - first_s > IMPATIENT_S:
            say("killing what is left")
            supervisor.kill()
        stop.set()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it on purpose
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, on_signal)


async def _wait_for_stop(stop: asyncio.Event, *, follow_parent: bool) -> None:
    parent = os.getppid()
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 1.0)
        # Make neither forwards a SIGINT nor dies with its recipe; when it is gone, so are we.
        if follow_parent and os.getppid() != parent:
            stop.set()
