"""Vectors of tree math (§4.1, Appendix C)."""

from __future__ import annotations

from collections.abc import Callable

from ..crypto import CipherSuite, CryptoProvider
from ..errors import UsageError
from ..mls import tree_math
from ..mls.tree_math import NodeIndex
from .entry import Entry, Family, Vector, check

_RELATIONS = ("left", "right", "parent", "sibling")


def verify(_: CryptoProvider, entry: Entry) -> None:
    """Sizes and root, and the relatives of every node."""
    leaf_count = entry.number("n_leaves")
    # Before the lists, so that a number that somebody made up is not counted up to.
    entry.check("n_nodes", tree_math.node_width(leaf_count))
    for name in _RELATIONS:
        check(f"length of {name}", entry.number("n_nodes"), len(entry.items(name)))
    for name, value in _values(leaf_count).items():
        entry.check(name, value)


def generate(_: CryptoProvider, __: CipherSuite, leaf_count: int) -> Vector:
    """The entry for a tree of `leaf_count` leaves, a power of two."""
    return {"n_leaves": leaf_count, **_values(leaf_count)}


def _values(leaf_count: int) -> dict[str, int | list[int | None]]:
    nodes = [NodeIndex(node) for node in range(tree_math.node_width(leaf_count))]
    return {
        "n_nodes": len(nodes),
        "root": tree_math.root(leaf_count),
        "left": [_relative(tree_math.left, node) for node in nodes],
        "right": [_relative(tree_math.right, node) for node in nodes],
        "parent": [_relative(tree_math.parent, node, leaf_count) for node in nodes],
        "sibling": [_relative(tree_math.sibling, node, leaf_count) for node in nodes],
    }


def _relative(function: Callable[..., NodeIndex], *arguments: int) -> NodeIndex | None:
    """What does not exist is an error in our functions and null in the vectors."""
    try:
        return function(*arguments)
    except UsageError:
        return None


FAMILY = Family(
    name="tree-math",
    keys=frozenset({"n_leaves", "n_nodes", "root", *_RELATIONS}),
    verify=verify,
    generate=generate,
    parameters=(1, 2, 4, 8, 16, 32),
    by_suite=False,
)
