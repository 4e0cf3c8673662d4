"""Whole numbers by hash, at a tenth of a dict's memory: what an import knows of each answer of a large log.

Open addressing in two arrays. No object of Python's stays for an entry, so that neither the allocator nor the search
for cycles has more to do the longer a log is.
"""

from __future__ import annotations

from array import array

_LEAST = 64


class Tally:
    """A dict from numbers of 64 bits, as `hash` gives them, to numbers of 32 bits; nothing is ever taken out.

    Two keys with one hash are one: of a hundred million, one time in four thousand. 0 is kept as 1."""

    __slots__ = ("_keys", "_size", "_values")

    def __init__(self) -> None:
        self._size = 0
        self._keys, self._values = _places(_LEAST)

    def __len__(self) -> int:
        return self._size

    def get(self, key: int, default: int = 0) -> int:
        """The number of a key, or `default`."""
        key = key or 1
        keys, last = self._keys, len(self._keys) - 1
        at = key & last
        while there := keys[at]:
            if there == key:
                return self._values[at]
            at = (at + 1) & last
        return default

    def __setitem__(self, key: int, value: int) -> None:
        at = self._place(key or 1)
        self._values[at] = value

    def add(self, key: int) -> int:
        """How often this key was added before."""
        at = self._place(key or 1)
        before = self._values[at]
        self._values[at] = before + 1
        return before

    def _place(self, key: int) -> int:
        """Where a key stands, from now on if it did not."""
        keys, last = self._keys, len(self._keys) - 1
        at = key & last
        while there := keys[at]:
            if there == key:
                return at
            at = (at + 1) & last
        if 3 * self._size >= 2 * last:
            self._grow()
            return self._place(key)
        keys[at] = key
        self._size += 1
        return at

    def _grow(self) -> None:
        keys, values = _places(2 * len(self._keys))
        last = len(keys) - 1
        for key, value in zip(self._keys, self._values, strict=True):
            if key:
                at = key & last
                while keys[at]:
                    at = (at + 1) & last
                keys[at], values[at] = key, value
        self._keys, self._values = keys, values


def _places(count: int) -> tuple[array[int], array[int]]:
    # Made from one, and not from a list or from bytes: those would be as large as the array, beside it.
    return array("q", (0,)) * count, array("i", (0,)) * count
