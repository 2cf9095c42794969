"""A fuzzer's octets, read as decisions: what a target does with them depends on nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Octets:
    """Reads from the front; once all octets are spent, every decision is 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._data)

    def number(self, below: int) -> int:
        """A number from 0 to `below` - 1; takes as few octets as that needs."""
        size = max(1, ((below - 1).bit_length() + 7) // 8)
        return int.from_bytes(self.take(size), "big") % below

    def choice(self, items: Sequence[T]) -> T:
        """One of `items`."""
        return items[self.number(len(items))]

    def flag(self, one_in: int = 2) -> bool:
        """True in one of `one_in` cases, and never when all is spent."""
        return self.number(one_in) == one_in - 1

    def take(self, size: int) -> bytes:
        """The next `size` octets, or as many as there are."""
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def rest(self) -> bytes:
        """All that are left."""
        return self.take(len(self._data))
