"""What a section of the bench is given: programs, its scale, and a voice."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Use:
    """`full` chooses the sizes that are asked for; without it a section takes about a minute.

    `minutes` is the outage of `catchup`, `grow` what varies in `growth`.
    """

    load: Path
    peer: Path
    full: bool
    minutes: float
    grow: tuple[str, ...]
    server: str
    processes: int
    say: Callable[[str], None]

    def scaled(self, full: T, small: T) -> T:
        """Return the value for this run's scale."""
        return full if self.full else small
