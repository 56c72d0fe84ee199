"""The last recorded ratios to the peer, and what fell since. Ratios, because machines differ."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

FILE = Path(__file__).with_name("recorded.json")
FALL_MIN = 0.15
"""A ratio that lost less than this share is noise of a shared machine."""


class Recorded(Struct):
    """What bench/recorded.json holds. `load_average` before the run tells whether it was alone."""

    on: str
    server: str
    cores: int
    load_average: float
    ratio_to_peer: dict[int, float]


def read(path: Path = FILE) -> Recorded | None:
    """Return what was recorded last, or None."""
    if not path.exists():
        return None
    return msgspec.json.decode(path.read_bytes(), type=Recorded)


def write(recorded: Recorded, path: Path = FILE) -> None:
    """Record ratios for the next runs to be compared with."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(recorded)) + b"\n")


def fallen(before: Mapping[int, float], now: Mapping[int, float]) -> list[str]:
    """Return a sentence for each ratio that lost at least 15 % of what it was."""
    return [
        f"{size} events a request: {now[size]:.2f} of the peer, was {was:.2f} ({now[size] / was - 1:+.0%})"
        for size, was in before.items()
        if size in now and now[size] <= was * (1 - FALL_MIN)
    ]
