"""Where the nodes of a ratchet tree are in its array (§4.1, Appendix C).

A tree of n leaves, n a power of two, in an array of 2n-1 nodes; leaves at the even places:

                           7
                   3               11
               1       5       9       13
             0   2   4   6   8   10  12  14     node index
             0   1   2   3   4   5   6   7      leaf index
"""

from __future__ import annotations

from functools import lru_cache
from typing import NewType

from ..errors import UsageError

LeafIndex = NewType("LeafIndex", int)
NodeIndex = NewType("NodeIndex", int)


def node_of(leaf: LeafIndex) -> NodeIndex:
    """The node index of a leaf."""
    return NodeIndex(2 * leaf)


def leaf_of(node: NodeIndex) -> LeafIndex:
    """The leaf index of a leaf's node."""
    return LeafIndex(node // 2)


def node_width(leaf_count: int) -> int:
    """Nodes in the array of a tree with `leaf_count` leaves."""
    return 2 * leaf_count - 1 if leaf_count else 0


def root(leaf_count: int) -> NodeIndex:
    """The root of a tree with `leaf_count` leaves, a power of two."""
    return NodeIndex(leaf_count - 1)


def level(node: NodeIndex) -> int:
    """Height above the leaves: the number of trailing one bits."""
    return (~node & (node + 1)).bit_length() - 1


def left(node: NodeIndex) -> NodeIndex:
    """The left child of a parent.

    Raises:
        UsageError: `node` is a leaf.
    """
    height = level(node)
    if height == 0:
        raise UsageError("a leaf has no children")
    return NodeIndex(node ^ (1 << (height - 1)))


def right(node: NodeIndex) -> NodeIndex:
    """The right child of a parent.

    Raises:
        UsageError: `node` is a leaf.
    """
    height = level(node)
    if height == 0:
        raise UsageError("a leaf has no children")
    return NodeIndex(node ^ (3 << (height - 1)))


def parent(node: NodeIndex, leaf_count: int) -> NodeIndex:
    """The parent of any node but the root.

    Raises:
        UsageError: `node` is the root.
    """
    if node == root(leaf_count):
        raise UsageError("the root has no parent")
    return _above(node, level(node))


def sibling(node: NodeIndex, leaf_count: int) -> NodeIndex:
    """The other child of a node's parent.

    Raises:
        UsageError: `node` is the root.
    """
    above = parent(node, leaf_count)
    return right(above) if node < above else left(above)


# A commit walks the same few paths a dozen times.
@lru_cache(maxsize=4096)
def direct_path(node: NodeIndex, leaf_count: int) -> tuple[NodeIndex, ...]:
    """The ancestors of a node, from its parent to the root (§4.1.1).

    Raises:
        UsageError: the tree has no such node, or there is no tree with so many leaves.
    """
    path = []
    top = root(leaf_count)
    height = level(node)
    while node != top:
        if not 0 <= node < node_width(leaf_count):
            raise UsageError(f"node {node} is not in a tree of {leaf_count} leaves")
        node = _above(node, height)
        height += 1
        path.append(node)
    return tuple(path)


@lru_cache(maxsize=4096)
def copath(node: NodeIndex, leaf_count: int) -> tuple[NodeIndex, ...]:
    """The siblings of a node and of its ancestors below the root (§4.1.1)."""
    path = [node, *direct_path(node, leaf_count)]
    # Siblings differ in the bit above those that make their level.
    lowest = level(node) + 1
    return tuple(NodeIndex(step ^ 1 << height) for height, step in enumerate(path[:-1], start=lowest))


def is_in_subtree(node: NodeIndex, top: NodeIndex) -> bool:
    """Whether `node` is `top` or below it."""
    span = (1 << level(top)) - 1
    return top - span <= node <= top + span


def common_ancestor(one: NodeIndex, other: NodeIndex) -> NodeIndex:
    """The lowest node above or at both."""
    # Shifted by its level and one, a node is the same number as all below it.
    for top, below in ((one, other), (other, one)):
        height = level(top) + 1
        if level(below) < height and below >> height == top >> height:
            return top
    # Neither is above the other: what their numbers have in common, and then the middle of what is left.
    height = (one ^ other).bit_length()
    return NodeIndex((one >> height << height) + (1 << (height - 1)) - 1)


def leaves_below(top: NodeIndex) -> range:
    """The leaf indices in the subtree of `top`, as a range."""
    span = (1 << level(top)) - 1
    return range((top - span) // 2, (top + span) // 2 + 1)


def _above(node: NodeIndex, height: int) -> NodeIndex:
    """The parent, in an unbounded tree, of a node of level `height`."""
    return NodeIndex((node | 1 << height) & ~(1 << (height + 1)))
