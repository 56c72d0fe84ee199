"""What was decided lately, so that a known event asks nobody."""

from collections.abc import Hashable
from typing import Generic, TypeVar

from msgspec import Struct

from schemas.topics import Coordinates
from workers.persons.decision import Conflict

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Standing(Struct, frozen=True, gc=False):
    """What the stage puts into an event. `facts` are JSON texts: identifiers that are part of the profile."""

    person_id: str | None
    phone: str
    flags: tuple[str, ...]
    facts: dict[str, str]
    conflicts: tuple[Conflict, ...]
    made_at: Coordinates

    def holds_for(self, at: Coordinates) -> bool:
        """Tell whether an event may use it: a replayed one that lies before is decided anew."""
        return at.ko > self.made_at.ko or at.kp != self.made_at.kp


class Device:
    """What is known of a device: the standing of its events, by the names that came with them."""

    __slots__ = ("standings",)

    NAMES_MAX = 16

    def __init__(self) -> None:
        self.standings: dict[tuple[str, str, str], Standing] = {}

    def put(self, names: tuple[str, str, str], standing: Standing) -> None:
        """Remember; the names that a device comes with are few, or not worth remembering."""
        if len(self.standings) >= self.NAMES_MAX:
            self.standings.clear()
        self.standings[names] = standing


class Lately(Generic[Key, Value]):
    """A dict of at most `entries_max` that forgets what was asked for longest ago, by halves."""

    def __init__(self, entries_max: int) -> None:
        self._half = entries_max // 2
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: Key) -> Value | None:
        """Return the value and remember it for longer, or None."""
        value = self._young.get(key)
        if value is None:
            value = self._old.pop(key, None)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Remember a value."""
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def drop(self, key: Key) -> None:
        """Forget a value."""
        self._young.pop(key, None)
        self._old.pop(key, None)

    def clear(self) -> None:
        """Forget all."""
        self._young.clear()
        self._old.clear()
