"""One supervised part: started, watched, started again when it dies, and stopped."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from deploy.dev.logs import LogFile
from deploy.dev.rundir import RunDirectory
from deploy.dev.server import Server, account
from schemas.settings import PARENT_FD

RESTART_FIRST_S = 0.2
RESTART_MAX_S = 10.0
STEADY_S = 3.0
"""A part that lived this long is started again at once; one that did not, after twice the last wait."""

STOP_S = 20.0

Say = Callable[[str], None]


class Inherited:
    """What every part gets from its supervisor: the pipe that tells of its end, and the lock."""

    def __init__(self, lock_fd: int) -> None:
        self.pipe, self._held = os.pipe()
        self.lock = lock_fd

    def fds(self) -> Sequence[int]:
        """Descriptors to pass on. The pipe's write end stays here and nowhere else."""
        return (self.pipe, self.lock)


class Child:
    """Keeps one process of `server` running until `stop`.

    `refused` is what it said when it last ended because only the operator can help; empty: it did not.
    """

    def __init__(self, server: Server, run: RunDirectory, inherited: Inherited, say: Say) -> None:
        self.server = server
        self.log = LogFile(run.log, server.name)
        self._run = run
        self._inherited = inherited
        self._say = say
        self.refused = ""
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._task = asyncio.create_task(self._keep_running(), name=server.name)

    async def ready(self) -> None:
        """Return when the part serves, which may be after several starts, or has refused to."""
        serves = False
        while not (serves or self.refused):
            await asyncio.sleep(0.05)
            serves = await asyncio.to_thread(self.server.ready)

    async def stop(self) -> None:
        """End the part: its own stop signal, then SIGKILL after 20 s."""
        self._stopping.set()
        self.signal(self.server.stop_signal)
        _, late = await asyncio.wait([self._task], timeout=STOP_S)
        if late:
            self._say(f"{self.server.name}: still there after {STOP_S:.0f} s, killing it")
            self.signal(signal.SIGKILL)
        await self._task

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it lives."""
        if self._process is not None and self._process.returncode is None:
            try:
                self._process.send_signal(number)
            except ProcessLookupError:
                return  # it ended this moment; the watcher is about to say so

    async def _keep_running(self) -> None:
        wait_s = RESTART_FIRST_S
        while not self._stopping.is_set():
            started = time.monotonic()
            ending = await self._run_once()
            if self._stopping.is_set():
                return
            steady = time.monotonic() - started >= STEADY_S
            wait_s = RESTART_FIRST_S if steady else min(wait_s * 2, RESTART_MAX_S)
            self._say(f"{self.server.name}: {ending}; starting it again in {wait_s:.1f} s")
            await self._pause(wait_s)

    async def _run_once(self) -> str:
        name = self.server.name
        try:
            process = await start(self.server, self.log, self._inherited)
        except OSError as error:
            return f"could not be started: {error}"
        self._process = process
        self._run.write_pid(name, process.pid)
        if self._stopping.is_set():
            self.signal(self.server.stop_signal)
        try:
            status = await process.wait()
        finally:
            self._run.remove_pid(name)
        if self.server.refusal and status == self.server.refusal:
            self.refused = self.log.last_line() or f"it ended with status {status}"
        return _ending(process.pid, status, self.log.last_line())

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


async def start(server: Server, log: LogFile, inherited: Inherited) -> asyncio.subprocess.Process:
    """Start one process of `server` in a session of its own, writing to its log. Raises OSError."""
    output = log.open()
    try:
        return await asyncio.create_subprocess_exec(
            *server.argv,
            cwd=server.cwd,
            env={**os.environ, **server.env, PARENT_FD: str(inherited.pipe)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C reaches the supervisor alone, which stops the parts in their order.
            start_new_session=True,
            pass_fds=inherited.fds(),
            **account(server.user),
        )
    finally:
        os.close(output)


def _ending(pid: int, status: int, last_line: str) -> str:
    if status < 0:
        return f"process {pid} was ended by {signal.Signals(-status).name}"
    said = f" ({last_line})" if last_line else ""
    return f"process {pid} ended with status {status}{said}"
