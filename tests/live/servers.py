"""A real server under a test's hand: start, stop, kill and freeze it by its own pid."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from deploy.dev.server import Server, ServerFailed, spawn, wait_ready


class LiveServer:
    """A server on loopback ports that stay the same over restarts, with its state in one directory."""

    def __init__(self, prepare: Callable[[], Server], log: Path) -> None:
        self._prepare = prepare
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._server = prepare()
        self.url = self._server.url

    @property
    def pid(self) -> int:
        """The pid of the server itself; it must be running."""
        assert self._process is not None, f"{self._server.name} is not running"
        return self._process.pid

    @property
    def port(self) -> int:
        """The port that clients connect to."""
        return int(self.url.rsplit(":", 1)[1].split("/")[0])

    def start(self) -> None:
        """Start it and wait until it serves; nothing if it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        self._server = self._prepare()
        self._process = spawn(self._server, self._log)
        wait_ready(self._server, self._process, self._log)

    async def come_back(self) -> None:
        """Start it and wait, while the test's other tasks go on.

        It is spawned by this thread, not by a worker thread: a server ends with the thread that started it.
        """
        self._server = self._prepare()
        self._process = spawn(self._server, self._log)
        await asyncio.to_thread(wait_ready, self._server, self._process, self._log)

    def stop(self) -> None:
        """End it as an operator would, and wait."""
        self._end(self._server.stop_signal)

    def tell_to_stop(self) -> None:
        """SIGTERM, which Postgres takes as: when your clients have gone."""
        os.kill(self.pid, signal.SIGTERM)

    def wait(self) -> None:
        """Wait until it has ended, half a minute at most."""
        assert self._process is not None
        self._process.wait(timeout=30)

    def kill(self) -> None:
        """kill -9, and wait."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)  # its threads stop one by one

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, by: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(by)
            self._process.send_signal(signal.SIGCONT)  # a frozen one would not hear of it
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def skip_or_fail(missing: ServerFailed) -> NoReturn:
    """Skip the test for want of a server; on CI, where none may lack, fail."""
    if os.environ.get("CI") == "true":
        raise missing
    pytest.skip(str(missing))
