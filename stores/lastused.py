"""A dict that holds a bounded number of entries and forgets those used longest ago, in constant time."""

import hashlib
from collections.abc import Hashable
from typing import Generic, TypeVar

G = TypeVar("G", bound=Hashable)
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LastUsed(Generic[K, V]):
    """Two generations: what is used moves to the young one; when that is full it replaces the other.

    Holds at most `entries_max`, and always the half of them that was used last.
    """

    def __init__(self, entries_max: int) -> None:
        self._half = max(entries_max // 2, 1)
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: K) -> V | None:
        """Return what was put, or None."""
        value = self._young.get(key)
        if value is None:
            value = self._old.pop(key, None)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        """Remember; `value` is not None."""
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def clear(self) -> None:
        """Forget all."""
        self._young.clear()
        self._old.clear()


class LastUsedBy(Generic[G, K, V]):
    """As LastUsed, with a dict for each group (a tenant), so that a key may be a text of the event's own.

    A text is hashed in a fraction of the time of a tuple, and equal at once: docs/decisions/0156.
    """

    def __init__(self, entries_max: int) -> None:
        self._half = max(entries_max // 2, 1)
        self._young: dict[G, dict[K, V]] = {}
        self._old: dict[G, dict[K, V]] = {}
        self._young_entries = 0

    def __len__(self) -> int:
        return sum(
            len(entries) for young_or_old in (self._young, self._old) for entries in young_or_old.values()
        )

    def get(self, group: G, key: K) -> V | None:
        """Return what was put, or None."""
        try:
            return self._young[group][key]
        except KeyError:
            value = self._old[group].pop(key, None) if group in self._old else None
        if value is not None:
            self.put(group, key, value)
        return value

    def put(self, group: G, key: K, value: V) -> None:
        """Remember; `value` is not None."""
        if self._young_entries >= self._half:
            self._old, self._young, self._young_entries = self._young, {}, 0
        entries = self._young.setdefault(group, {})
        known = len(entries)
        entries[key] = value
        self._young_entries += len(entries) - known


KEY_CHARACTERS_MAX = 128


def short_key(text: str) -> str | bytes:
    """Return a text as a key; a long one, which may have 32 KiB, stands by its digest."""
    if len(text) <= KEY_CHARACTERS_MAX:
        return text
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
