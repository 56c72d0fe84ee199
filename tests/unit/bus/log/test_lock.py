import threading
from pathlib import Path

import pytest

from bus.log.lock import FairLock, LockTimeout


def test_one_holds_it_at_a_time(tmp_path: Path) -> None:
    one, two = FairLock(tmp_path / "x.db"), FairLock(tmp_path / "x.db")
    with one.held(wait_s=0), pytest.raises(LockTimeout), two.held(wait_s=0.01):
        pass
    with two.held(wait_s=0):
        pass


def test_it_is_given_back_after_an_exception(tmp_path: Path) -> None:
    lock = FairLock(tmp_path / "x.db")
    with pytest.raises(ZeroDivisionError), lock.held(wait_s=0):
        raise ZeroDivisionError
    with lock.held(wait_s=0):
        pass


def test_a_busy_holder_does_not_starve_the_next(tmp_path: Path) -> None:
    ready, stop = threading.Event(), threading.Event()

    def busy() -> None:
        lock = FairLock(tmp_path / "x.db")
        while not stop.is_set():
            with lock.held(wait_s=30):
                ready.set()
                stop.wait(0.002)

    thread = threading.Thread(target=busy)
    thread.start()
    mine = FairLock(tmp_path / "x.db")
    ready.wait()
    try:
        for _ in range(20):
            with mine.held(wait_s=30):
                pass
    finally:
        stop.set()
        thread.join()
