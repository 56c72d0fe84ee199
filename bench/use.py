"""What a section of the bench is given: programs, a directory, its scale, and a voice."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Use:
    """`full` chooses the sizes that are asked for; without it a section takes about a minute."""

    load: Path
    peer: Path
    full: bool
    minutes: float
    server: str
    processes: int
    say: Callable[[str], None]

    def scaled(self, full: T, small: T) -> T:
        """Return the value for this run's scale."""
        return full if self.full else small

    @contextmanager
    def home(self) -> Iterator[Path]:
        """Give a new directory that is removed at the end; Postgres's own, too, where it lies elsewhere."""
        home = Path(mkdtemp(prefix="penstock-bench-"))
        try:
            yield home
        finally:
            database = (home / "postgres").resolve()
            shutil.rmtree(database, ignore_errors=True)
            shutil.rmtree(home, ignore_errors=True)
