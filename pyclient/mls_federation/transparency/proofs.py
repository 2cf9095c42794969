"""Verifying what a log shows of itself (RFC 9162 §2.1.3.2 and §2.1.4.2)."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import VerificationError
from .tree import EMPTY_ROOT, HASH_SIZE, node_hash


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Return if the entry with the hash `leaf` is number `index` of the `size` entries under `root`.

    Raises:
        VerificationError: code `bad-inclusion-proof`.
    """
    if not 0 <= index < size or not _are_hashes(path):
        raise _not_included()
    # The place of the node so far, and that of the last node, among those of its level.
    place, last = index, size - 1
    result = leaf
    for sibling in path:
        if last == 0:
            raise _not_included()  # the path is longer than the tree is high
        if place & 1 or place == last:
            result = node_hash(sibling, result)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1  # levels at which the node is alone, and has no sibling
        else:
            result = node_hash(result, sibling)
        place, last = place >> 1, last >> 1
    if last or result != root:
        raise _not_included()


def verify_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, path: Sequence[bytes]
) -> None:
    """Return if the `second` entries under `second_root` begin with the `first` entries under `first_root`.

    RFC 9162 leaves the empty tree out. Every tree begins with it, and there is nothing to show but its root.

    Args:
        first: the smaller size, or the same.

    Raises:
        VerificationError: code `log-rewritten`.
    """
    if not 0 <= first <= second or not _are_hashes(path):
        raise _rewritten()
    if first == second:
        if path or first_root != second_root or (first == 0 and first_root != EMPTY_ROOT):
            raise _rewritten()
        return
    if first == 0:
        if path or first_root != EMPTY_ROOT:
            raise _rewritten()
        return
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    # The smaller tree is a subtree of the larger one, and left out of the path, or the path begins with its last subtree.
    nodes = [*path] if place else [first_root, *path]
    if not nodes:
        raise _rewritten()
    before = after = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            raise _rewritten()
        if place & 1 or place == last:
            before, after = node_hash(node, before), node_hash(node, after)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            after = node_hash(after, node)
        place, last = place >> 1, last >> 1
    if last or before != first_root or after != second_root:
        raise _rewritten()


def _are_hashes(path: Sequence[bytes]) -> bool:
    return all(len(node) == HASH_SIZE for node in path)


def _not_included() -> VerificationError:
    return VerificationError("the log does not show that it has this entry", code="bad-inclusion-proof")


def _rewritten() -> VerificationError:
    return VerificationError(
        "the log does not show that it only grew: an entry was changed or taken out", code="log-rewritten"
    )
