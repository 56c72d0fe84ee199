"""Ends servers that are not ours when their supervisor is gone: they do not watch its pipe themselves.

Run as `python -m deploy.dev.warden RUN_DIRECTORY PART...`, as a part of the supervisor.
"""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from schemas.settings import PARENT_FD

GRACE_S = 8.0
_STOP = {"postgres": signal.SIGINT}  # SIGTERM waits for its clients to leave


def main(run: Path, parts: list[str]) -> None:
    """Wait for the end of the supervisor, then stop the parts and, after 8 s, kill them."""
    # The supervisor stops us in its own order; until then only the pipe counts.
    fd = int(os.environ[PARENT_FD])
    while os.read(fd, 1):
        pass
    pids = {part: pid for part in parts if (pid := _pid(run / f"{part}.pid")) is not None}
    for part, pid in pids.items():
        _signal(pid, _STOP.get(part, signal.SIGTERM))
    deadline = time.monotonic() + GRACE_S
    while time.monotonic() < deadline and any(_alive(pid) for pid in pids.values()):
        time.sleep(0.1)
    for part, pid in pids.items():
        _signal(pid, signal.SIGKILL)
        (run / f"{part}.pid").unlink(missing_ok=True)
    (run / "warden.pid").unlink(missing_ok=True)


def _pid(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
