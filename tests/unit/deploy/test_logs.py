"""Log files: bounded, and their important lines said once."""

import os
from pathlib import Path

import pytest

from deploy.dev import logs
from deploy.dev.logs import LogFile

WARNING = b'{"level":"warning","message":"w%d"}\n'


def append(log: LogFile, data: bytes) -> None:
    fd = log.open()
    os.write(fd, data)
    os.close(fd)


def test_only_warnings_and_worse_are_said_once(tmp_path: Path) -> None:
    (tmp_path / "api.log").write_bytes(WARNING % 0)  # from an earlier run
    log = LogFile(tmp_path, "api")
    said: list[str] = []
    append(log, b'{"level":"info","message":"i"}\nnot json \xff\n' + WARNING % 1 + (WARNING % 2)[:10])
    log.look(said.append)
    assert said == ["api: warning: w1"]
    append(log, (WARNING % 2)[10:])
    log.look(said.append)
    log.look(said.append)
    assert said == ["api: warning: w1", "api: warning: w2"]


def test_a_flood_is_counted_and_not_said(tmp_path: Path) -> None:
    log = LogFile(tmp_path, "api")
    said: list[str] = []
    append(log, b"".join(WARNING % n for n in range(500)))
    log.look(said.append)
    assert len(said) == logs.LINES_PER_LOOK_MAX + 1
    assert said[-1].startswith("api: 490 more such lines in ")


def test_a_log_is_begun_anew_at_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "BYTES_MAX", 1000)
    log = LogFile(tmp_path, "api")
    fd = log.open()  # as the part holds it, all the time
    for n in range(100):
        os.write(fd, WARNING % n)
        log.look(lambda line: None)
    assert log.path.stat().st_size <= 1100
    assert (tmp_path / "api.log.1").stat().st_size <= 1100
    said: list[str] = []
    os.write(fd, WARNING % 100)
    log.look(said.append)
    assert said == ["api: warning: w100"]
    os.close(fd)


@pytest.mark.parametrize(
    ("written", "last"),
    [
        (b"", ""),
        (b"Traceback\n  here\nKeyError: 'x'\n\n", "KeyError: 'x'"),
        (b'{"level":"error","message":"no bus"}\n', "no bus"),
    ],
)
def test_the_last_line_says_why_a_part_died(tmp_path: Path, written: bytes, last: str) -> None:
    log = LogFile(tmp_path, "api")
    append(log, written)
    assert log.last_line() == last
