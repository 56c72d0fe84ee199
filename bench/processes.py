"""Child processes of the bench: started, measured by what /proc says of them, stopped."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from deploy.dev.server import Server, spawn, wait_ready

STOP_S = 25.0
_TICKS_S = os.sysconf("SC_CLK_TCK")


class Running:
    """One process of `server`, ready when this returns. Raises ServerFailed."""

    def __init__(self, server: Server, log_directory: Path) -> None:
        self.server = server
        log = log_directory / f"{server.name}.log"
        self._process = spawn(server, log)
        try:
            wait_ready(server, self._process, log)
        except BaseException:
            self.stop(signal.SIGKILL)
            raise

    @property
    def pid(self) -> int:
        """The server's pid."""
        return self._process.pid

    def stop(self, by: signal.Signals | None = None) -> None:
        """End it as an operator would, then by SIGKILL."""
        if self._process.poll() is None:
            self._process.send_signal(by or self.server.stop_signal)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Group:
    """Processes that are stopped together, the last started first."""

    def __init__(self, log_directory: Path) -> None:
        log_directory.mkdir(parents=True, exist_ok=True)
        self._log_directory = log_directory
        self.running: list[Running] = []

    def start(self, server: Server) -> Running:
        """Start one more, and wait until it serves. Raises ServerFailed."""
        self.running.append(Running(server, self._log_directory))
        return self.running[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        while self.running:
            self.running.pop().stop()


def family(pid: int) -> list[int]:
    """Return the process and its living descendants."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue  # the thread ended this moment
    return found


def cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU seconds that the processes, and the children they outlived, have used so far."""
    return sum(_cpu_ticks(pid) for pid in pids) / _TICKS_S


def rss_peak_mb(pids: Iterable[int]) -> float:
    """Return the most memory that they have held, each for itself, in MiB."""
    return sum(_status_kb(pid, "VmHWM") for pid in pids) / 1024


def forget_rss_peak(pids: Iterable[int]) -> None:
    """Begin the peaks anew from what is held now."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def _cpu_ticks(pid: int) -> int:
    # The name in parentheses may hold blanks; utime, stime, cutime, cstime are fields 14 to 17.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15])


def _status_kb(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


def end_on_sigterm() -> None:
    """Let SIGTERM end this process as an exception, so that what it started is stopped and removed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
