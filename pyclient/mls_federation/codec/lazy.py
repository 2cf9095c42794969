"""Vectors of structs of one size, such as the ciphertexts of an update path: checked at once, decoded one by one when asked for.

A commit in a large group brings each member hundreds of ciphertexts, and each member needs one of them. If all elements
of a vector have the lengths of the first, then all are as well formed as the first, and that is a comparison of columns,
which costs nearly nothing. Vectors of any other kind are decoded in full.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar, overload

from .varint import read_length

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Element(Protocol[T_co]):
    """A class of structs."""

    # Asked for anew each time: the reader that is there at first writes a better one in its own place.
    def _read(self, data: bytes, at: int, /) -> tuple[T_co, int]:
        """One element at an offset, and the offset behind it."""
        ...


class LazyVector(Sequence[T]):
    """The elements of a vector, each decoded when it is asked for. Compares, hashes and adds as the tuple of them."""

    __slots__ = ("_data", "_element", "_end", "_size", "_start")

    def __init__(self, data: bytes, start: int, end: int, size: int, element: Element[T]) -> None:
        self._data = data
        self._start = start
        self._end = end
        self._size = size
        self._element = element

    def __len__(self) -> int:
        return (self._end - self._start) // self._size

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        places = range(self._start, self._end, self._size)[index]
        if isinstance(places, int):
            return self._element._read(self._data, places)[0]
        return tuple(self._element._read(self._data, place)[0] for place in places)

    def __iter__(self) -> Iterator[T]:
        return (
            self._element._read(self._data, place)[0] for place in range(self._start, self._end, self._size)
        )

    def __add__(self, other: tuple[T, ...]) -> tuple[T, ...]:
        return (*self, *other)

    def __radd__(self, other: tuple[T, ...]) -> tuple[T, ...]:
        return (*other, *self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, tuple | LazyVector):
            return NotImplemented
        return tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


def uniform_size(data: bytes, start: int, end: int, opaques: int) -> int | None:
    """The size of each element of the vector that lies from `start` to `end`, if all have the same lengths in them.

    Args:
        opaques: an element is as many `opaque<V>`s, one behind the other, and nothing else.

    Returns:
        Octets; None if the vector is empty or its elements differ.

    Raises:
        InvalidLength, IndexError: the first element is malformed.
    """
    columns: list[int] = []
    at = start
    for _ in range(opaques):
        length, behind = read_length(data, at)
        columns += range(at, behind)
        at = behind + length
    size = at - start
    if not 0 < size <= end - start or (end - start) % size:
        return None
    count = (end - start) // size
    if all(data[column:end:size] == data[column : column + 1] * count for column in columns):
        return size
    return None
