"""The Merkle tree over a list of entries (RFC 9162 §2.1.1), with SHA-256.

size 7              root
               ┌─────┴─────┐
               h           k          A subtree over 2^level entries, the first of which is a multiple of 2^level,
             ┌─┴─┐       ┌─┴─┐        is *perfect*: no later entry changes it. Here that is everything but the root
             g   i       j   6        and k. Whoever keeps a log keeps the hashes of perfect subtrees, and gets every
            ┌┴┐ ┌┴┐     ┌┴┐           root and every proof, of every size, from a few of them.
            0 1 2 3     4 5
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry, 32 octets."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees beside each other, 32 octets."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(entries: Iterable[bytes]) -> bytes:
    """The root hash over all entries (MTH, §2.1.1)."""
    peaks: list[bytes] = []  # of the perfect subtrees so far, the largest first
    for index, entry in enumerate(entries):
        peaks.append(leaf_hash(entry))
        for _ in range(_trailing_ones(index)):
            right = peaks.pop()
            peaks.append(node_hash(peaks.pop(), right))
    return fold(peaks)


def fold(subtrees: Sequence[bytes]) -> bytes:
    """The hash of perfect subtrees beside each other, the largest first; the empty root if there are none."""
    if not subtrees:
        return EMPTY_ROOT
    whole = subtrees[-1]
    for left in reversed(subtrees[:-1]):
        whole = node_hash(left, whole)
    return whole


@dataclass(frozen=True, order=True)
class Subtree:
    """A perfect subtree: over the `2**level` entries from `index * 2**level` on."""

    level: int
    index: int

    @property
    def position(self) -> int:
        """One number for each subtree: its place in the array representation of trees (RFC 9420, Appendix C)."""
        return (2 * self.index + 1 << self.level) - 1


def subtrees_of(start: int, end: int) -> tuple[Subtree, ...]:
    """The perfect subtrees that make up the entries from `start` to before `end`, the largest first.

    Args:
        start: a multiple of the largest power of two that is not more than `end - start`, as every left edge in a tree is.
    """
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append(Subtree(level, start >> level))
        start += 1 << level
    return tuple(found)


def completed_by(index: int) -> tuple[Subtree, ...]:
    """The perfect subtrees that entry number `index` completes, the smallest (its leaf) first.

    Each but the first is the node over the one before it, which is its right child, and the left sibling of that.
    """
    return tuple(Subtree(level, index >> level) for level in range(_trailing_ones(index) + 1))


def left_sibling(subtree: Subtree) -> Subtree:
    """The subtree of the same size to the left."""
    return Subtree(subtree.level, subtree.index - 1)


def inclusion_ranges(index: int, size: int) -> tuple[tuple[int, int], ...]:
    """The ranges of entries whose hashes make the inclusion path of an entry (PATH, §2.1.3.1), in its order.

    Args:
        index: less than `size`.
    """
    ranges = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return tuple(reversed(ranges))


def consistency_ranges(first: int, second: int) -> tuple[tuple[int, int], ...]:
    """The ranges of entries whose hashes show that a tree began as a smaller one (PROOF, §2.1.4.1), in its order.

    Args:
        first: at most `second`. With 0, or two equal sizes, there is nothing to show.
    """
    if first in (0, second):
        return ()
    ranges = []
    start, end = 0, second
    while first < end:
        middle = start + _split(end - start)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    # Where the smaller tree is itself the subtree at the left edge, who verifies has its hash: its root.
    if start > 0:
        ranges.append((start, end))
    return tuple(reversed(ranges))


def path_of(ranges: Sequence[tuple[int, int]], hashes: Mapping[Subtree, bytes]) -> tuple[bytes, ...]:
    """The hash of each range, from those of the perfect subtrees (`subtrees_of`) in it."""
    return tuple(fold([hashes[subtree] for subtree in subtrees_of(*span)]) for span in ranges)


def _split(width: int) -> int:
    """How many of `width` > 1 entries are in the left subtree: the largest power of two below it."""
    return 1 << (width - 1).bit_length() - 1


def _trailing_ones(number: int) -> int:
    """How many of a number's lowest bits are all set."""
    return (~number & number + 1).bit_length() - 1
