"""Tree math (§4.1, Appendix C): what must hold of all trees, besides the official vectors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mls_federation.errors import UsageError
from mls_federation.mls import tree_math
from mls_federation.mls.tree_math import LeafIndex, NodeIndex

MOST_LEVELS = 12


@st.composite
def places(draw: st.DrawFn) -> tuple[NodeIndex, int]:
    """A node and the number of leaves of its tree."""
    leaf_count = 1 << draw(st.integers(0, MOST_LEVELS))
    return NodeIndex(draw(st.integers(0, tree_math.node_width(leaf_count) - 1))), leaf_count


@given(places())
def test_children_have_their_parent(place: tuple[NodeIndex, int]) -> None:
    node, leaf_count = place
    if tree_math.level(node) > 0:
        children = tree_math.left(node), tree_math.right(node)
        assert children[0] < node < children[1]
        assert [tree_math.parent(child, leaf_count) for child in children] == [node, node]
        assert tree_math.sibling(children[0], leaf_count) == children[1]
        assert tree_math.sibling(children[1], leaf_count) == children[0]
    else:
        for child in (tree_math.left, tree_math.right):
            with pytest.raises(UsageError, match="no children"):
                child(node)


@given(places())
def test_direct_path_and_copath(place: tuple[NodeIndex, int]) -> None:
    node, leaf_count = place
    path = tree_math.direct_path(node, leaf_count)
    levels = [tree_math.level(step) for step in path]
    assert levels == list(range(tree_math.level(node) + 1, leaf_count.bit_length()))
    if path:
        assert path[-1] == tree_math.root(leaf_count)
    # Together with the node itself, the copath covers all leaves, each once.
    covered = sorted(
        leaf for top in [node, *tree_math.copath(node, leaf_count)] for leaf in tree_math.leaves_below(top)
    )
    assert covered == list(range(leaf_count))


@given(places(), st.data())
def test_common_ancestor(place: tuple[NodeIndex, int], data: st.DataObject) -> None:
    one, leaf_count = place
    other = NodeIndex(data.draw(st.integers(0, tree_math.node_width(leaf_count) - 1)))
    shared = [
        node
        for node in [one, *tree_math.direct_path(one, leaf_count)]
        if node in [other, *tree_math.direct_path(other, leaf_count)]
    ]
    assert tree_math.common_ancestor(one, other) == shared[0]
    assert tree_math.common_ancestor(other, one) == shared[0]


@given(places(), st.data())
def test_subtrees(place: tuple[NodeIndex, int], data: st.DataObject) -> None:
    node, leaf_count = place
    top = NodeIndex(data.draw(st.integers(0, tree_math.node_width(leaf_count) - 1)))
    above = [node, *tree_math.direct_path(node, leaf_count)]
    assert tree_math.is_in_subtree(node, top) == (top in above)


def test_leaves_are_at_even_places() -> None:
    for index in range(100):
        node = tree_math.node_of(LeafIndex(index))
        assert node == 2 * index
        assert tree_math.level(node) == 0
        assert tree_math.leaf_of(node) == index


@pytest.mark.parametrize("leaf_count", [1, 2, 8])
def test_the_root_is_alone_at_the_top(leaf_count: int) -> None:
    root = tree_math.root(leaf_count)
    for above in (tree_math.parent, tree_math.sibling):
        with pytest.raises(UsageError, match="the root has no parent"):
            above(root, leaf_count)


@pytest.mark.parametrize(
    ("node", "leaf_count"), [(7, 4), (8, 4), (1 << 32, 4), (-2, 4), (0, 3), (2, 6), (0, 0)]
)
def test_a_path_in_no_tree_comes_to_an_end(node: int, leaf_count: int) -> None:
    for path in (tree_math.direct_path, tree_math.copath):
        with pytest.raises(UsageError):
            path(NodeIndex(node), leaf_count)
