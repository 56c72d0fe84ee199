"""No orphans: a part ends when its supervisor does, however the supervisor ended."""

import os
import signal
import threading
import time
from pathlib import Path

from schemas.settings import PARENT_FD, PREFIX

GRACE_S = 5.0
"""How long a part may take to stop by itself before it is killed."""


def watch_parent() -> None:
    """End this process when the supervisor that started it is gone.

    The supervisor holds the write end of a pipe and never writes; the system closes it when the
    supervisor ends, kill -9 included. Does nothing for a process that no supervisor started.
    """
    number = os.environ.get(PARENT_FD)
    if number is None:
        return
    fd = int(number)
    os.set_inheritable(fd, False)
    run = Path(os.environ.get(PREFIX + "HOME", "./var")).absolute() / "run"
    threading.Thread(target=_follow, args=(fd, os.getppid(), run), name="parent", daemon=True).start()


def _follow(fd: int, parent: int, run: Path) -> None:
    while os.read(fd, 1):
        pass
    # The supervisor can no longer do it.
    for path in run.glob("*.pid"):
        _remove_if_of(path, {os.getpid(), parent})
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)


def _remove_if_of(path: Path, pids: set[int]) -> None:
    try:
        if int(path.read_text()) in pids:
            path.unlink()
    except (OSError, ValueError):
        return  # another part was faster, or a new supervisor is writing it
