"""The ledger of the load: which marks were acknowledged, fsynced apart from the system under test."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Mark(NamedTuple):
    """One event's own name (it stands in the event's bytes) and its place in its subject's order."""

    dialect: str
    subject: str
    sequence: int

    @property
    def text(self) -> str:
        """The mark as it stands in the event: `mark-<dialect>-<subject>-<sequence>`."""
        return f"mark-{self.dialect}-{self.subject}-{self.sequence}"


MARK_PATTERN = r"mark-[a-z]+-[a-z0-9]+-[0-9]+"
"""Finds the mark in an event's raw text, whatever the dialect."""


class AckedMarks:
    """An append-only file with one acknowledged mark a line; durable when `add` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a", encoding="ascii")

    def add(self, marks: Iterable[Mark]) -> None:
        """Write marks whose request got a reply that means durable."""
        self._file.write("".join(f"{mark.dialect} {mark.subject} {mark.sequence}\n" for mark in marks))
        self._file.flush()
        os.fsync(self._file.fileno())

    def read(self) -> list[Mark]:
        """Read all marks back from the file, in the order they were acknowledged."""
        lines = self._path.read_text(encoding="ascii").splitlines()
        return [Mark(d, s, int(n)) for d, s, n in (line.split(" ") for line in lines)]

    def close(self) -> None:
        """Close the file."""
        self._file.close()
