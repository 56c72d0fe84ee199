"""A dict that holds a bounded number of entries and forgets those used longest ago, in constant time."""

import hashlib
from collections.abc import Hashable
from typing import Generic, TypeVar

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

    def drop(self, key: K) -> None:
        """Forget one entry."""
        self._young.pop(key, None)
        self._old.pop(key, None)

    def clear(self) -> None:
        """Forget all."""
        self._young.clear()
        self._old.clear()


KEY_CHARACTERS_MAX = 128


def short_key(text: str) -> str | bytes:
    """Return a text as a key; a long one, which may have 32 KiB, stands by its digest."""
    if len(text) <= KEY_CHARACTERS_MAX:
        return text
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
