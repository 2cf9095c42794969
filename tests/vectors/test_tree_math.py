"""Official vectors: tree math (§4.1, Appendix C)."""

from mls_federation.errors import UsageError
from mls_federation.mls import tree_math
from mls_federation.mls.tree_math import NodeIndex
from tests.support.vector_files import Vector, every_vector


def test_tree_math() -> None:
    for vector in every_vector("tree-math"):
        verify(vector)


def verify(vector: Vector) -> None:
    leaf_count = vector["n_leaves"]
    nodes = [NodeIndex(node) for node in range(vector["n_nodes"])]

    assert tree_math.node_width(leaf_count) == vector["n_nodes"]
    assert tree_math.root(leaf_count) == vector["root"]
    assert [left(node) for node in nodes] == vector["left"]
    assert [right(node) for node in nodes] == vector["right"]
    assert [parent(node, leaf_count) for node in nodes] == vector["parent"]
    assert [sibling(node, leaf_count) for node in nodes] == vector["sibling"]


# What does not exist is an error in our functions and null in the vectors.


def left(node: NodeIndex) -> NodeIndex | None:
    try:
        return tree_math.left(node)
    except UsageError:
        return None


def right(node: NodeIndex) -> NodeIndex | None:
    try:
        return tree_math.right(node)
    except UsageError:
        return None


def parent(node: NodeIndex, leaf_count: int) -> NodeIndex | None:
    try:
        return tree_math.parent(node, leaf_count)
    except UsageError:
        return None


def sibling(node: NodeIndex, leaf_count: int) -> NodeIndex | None:
    try:
        return tree_math.sibling(node, leaf_count)
    except UsageError:
        return None
