"""A dict that forgets, in constant time, what was not written lately."""

from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Two generations: writes go to the young one; when that is full or old it replaces the other.

    Holds at most `entries_max`. Less than half of that was written since: nothing younger than `keep`
    (in the caller's unit of time) is forgotten.
    """

    def __init__(self, *, entries_max: int, keep: int) -> None:
        self._young: dict[str, Value] = {}
        self._old: dict[str, Value] = {}
        self._half = max(entries_max // 2, 1)
        self._keep = keep
        self._turned_at = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def keep_at_least(self, keep: int) -> None:
        """Raise the age under which nothing is forgotten."""
        self._keep = max(self._keep, keep)

    def get(self, key: str) -> Value | None:
        """Return what was last written for the key, or None."""
        value = self._young.get(key)
        return value if value is not None else self._old.get(key)

    def put(self, key: str, value: Value, now: int) -> None:
        """Write; `now` never goes back."""
        if len(self._young) >= self._half or now - self._turned_at >= self._keep:
            self._old, self._young, self._turned_at = self._young, {}, now
        self._young[key] = value
