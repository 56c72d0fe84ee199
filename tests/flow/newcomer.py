"""A clone of the project in which a newcomer types `make run`."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from deploy.dev.server import free_ports

ROOT = Path(__file__).parents[2]
START_S_MAX = 90


def clone(into: Path) -> Path:
    """Copy what a clone of this checkout would hold, new files included, into an empty directory."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)
    return into


def borrow_packages(checkout: Path) -> None:
    """Give the clone an environment of its own that finds the packages of this one.

    What `make` would install is thus not fetched again; that it can be is shown by every fresh clone
    in which the tests themselves are run.
    """
    venv.create(checkout / ".venv", symlinks=True)
    [packages] = (checkout / ".venv" / "lib").glob("python*/site-packages")
    here = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "borrowed.pth").write_text("\n".join(here) + "\n")
    subprocess.run(["make", "-s", "--touch", "run"], cwd=checkout, check=True, capture_output=True)


class System:
    """What `make run` started."""

    def __init__(self, checkout: Path, process: subprocess.Popen[str], port: int, output: Path) -> None:
        self.checkout = checkout
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.api = f"http://127.0.0.1:{port + 1}"
        self.run = checkout / "var" / "run"
        self._output = output

    def said(self) -> str:
        return self._output.read_text()

    def pid(self, part: str) -> int | None:
        try:
            return int((self.run / f"{part}.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def pids(self) -> dict[str, int]:
        return {path.stem: pid for path in self.run.glob("*.pid") if (pid := self.pid(path.stem)) is not None}

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Ask as the README says, from the clone."""
        done = self._query(sql)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def serves(self) -> bool:
        """Whether events are taken and queries answered."""
        try:
            ready = httpx.get(self.url + "/ready").status_code == 200
        except httpx.TransportError:
            return False
        return ready and self._query("select 1").returncode == 0

    def _query(self, sql: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [".venv/bin/python", "-m", "cli", "query", sql],
            cwd=self.checkout,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
        )


def clean_environment() -> dict[str, str]:
    """The environment without anything that would configure the system or make."""
    dropped = re.compile(
        r"PENSTOCK_|MAKE|MFLAGS|PYTHONPATH$|VIRTUAL_ENV$|(PORT|API_PORT|VAR|WORKERS|GATEWAYS|VENV)$"
    )
    return {name: value for name, value in os.environ.items() if not dropped.match(name)}


@contextmanager
def make_run(checkout: Path) -> Iterator[System]:
    """Type `make run` in a terminal of its own and wait until it is ready."""
    port = _two_free_ports()
    output = checkout / "make-run.log"
    with output.open("w") as file:
        process = subprocess.Popen(
            ["make", "run", f"PORT={port}"],
            cwd=checkout,
            env=clean_environment(),
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
    system = System(checkout, process, port, output)
    try:
        until(lambda: f"\nready {system.url}\n" in system.said() or process.poll() is not None, START_S_MAX)
        assert process.poll() is None, system.said()
        yield system
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def press_ctrl_c(system: System) -> int:
    """Interrupt the whole foreground job, as a terminal does; returns make's exit status."""
    os.killpg(system.process.pid, signal.SIGINT)
    return system.process.wait(timeout=40)


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait for something that must come; fails when it has not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process is there and not just waiting to be collected."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip()) and not done.stdout.strip().startswith("Z")


def _two_free_ports() -> int:
    while True:
        [port] = free_ports(1)
        taken = subprocess.run(
            [sys.executable, "-c", f"import socket; socket.socket().bind(('127.0.0.1', {port + 1}))"],
            capture_output=True,
            check=False,
        )
        if taken.returncode == 0:
            return port
