"""The parts' log files: kept within bounds, and their important lines repeated on the console."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

BYTES_MAX = 16 * 2**20
"""At this size a log is moved to `<part>.log.1` and begun anew, so a part holds at most twice this."""

LINES_PER_LOOK_MAX = 10


class _Line(Struct):
    level: str
    message: str


_line = msgspec.json.Decoder(_Line)


class LogFile:
    """One part's log. The part appends to it by itself, so a stalled supervisor never holds it up."""

    def __init__(self, directory: Path, name: str) -> None:
        self.path = directory / f"{name}.log"
        self.path.touch()
        self._name = name
        self._seen = self.path.stat().st_size
        self._rest = b""

    def open(self) -> int:
        """Return a descriptor for the part to write to. The caller closes it."""
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def look(self, say: Callable[[str], None]) -> None:
        """Repeat what was logged as a warning or worse since the last look, then keep the size bounded."""
        told = unsaid = 0
        for line in self._news():
            message = _important(line)
            if message is None:
                continue
            if told < LINES_PER_LOOK_MAX:
                told += 1
                say(f"{self._name}: {message}")
            else:
                unsaid += 1
        if unsaid:
            say(f"{self._name}: {unsaid} more such lines in {self.path}")
        if self._seen > BYTES_MAX:
            self._begin_anew()

    def last_line(self) -> str:
        """Return the end of the log, for the sentence that says a part died."""
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - 8192))
            lines = file.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        try:
            return _line.decode(last).message
        except msgspec.DecodeError:
            return last.removeprefix("penstock: ")[:300]

    def _news(self) -> list[bytes]:
        with self.path.open("rb") as file:
            file.seek(self._seen)
            news = file.read(BYTES_MAX)
        self._seen += len(news)
        *lines, self._rest = (self._rest + news).split(b"\n")
        return lines

    def _begin_anew(self) -> None:
        # The part keeps its descriptor: it appends, so after the cut it goes on at the beginning.
        shutil.copyfile(self.path, self.path.with_suffix(".log.1"))
        os.truncate(self.path, 0)
        self._seen = 0
        self._rest = b""


def _important(line: bytes) -> str | None:
    try:
        entry = _line.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return f"{entry.level}: {entry.message}" if entry.level in ("warning", "error", "critical") else None
