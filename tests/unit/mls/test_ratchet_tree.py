"""The ratchet tree (§4.1, §7.7, §7.8, §12.4.3.3)."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mls_federation.crypto import Crypto
from mls_federation.errors import DecodeError, RemoteError, UsageError, ValidationError
from mls_federation.mls.nodes import LeafNode, Node, NodeType, ParentNode
from mls_federation.mls.ratchet_tree import (
    RatchetTree,
    RatchetTreeNodes,
    decode_tree,
    encode_tree,
    new_tree,
    tree_of,
)
from mls_federation.mls.tree_hashes import (
    check_unmerged_leaves,
    subtree_hash,
    tree_hash,
    verify_parent_hashes,
)
from mls_federation.mls.tree_index import TreeIndex
from mls_federation.mls.tree_math import LeafIndex, NodeIndex, node_of, root
from tests.support.pair import new_client
from tests.support.strategies import structs


@pytest.fixture(scope="module")
def leaves(suite_1: Crypto) -> list[LeafNode]:
    return [
        new_client(suite_1, f"member {number}").key_package().key_package.leaf_node for number in range(9)
    ]


def grown(leaves: list[LeafNode]) -> RatchetTree:
    tree = new_tree(leaves[0])
    for leaf in leaves[1:]:
        tree.add_leaf(leaf)
    return tree


def counts(tree: RatchetTree) -> list[object]:
    return [getattr(tree.index, name) for name in TreeIndex.__slots__]


def parent(key: bytes, *unmerged: int) -> ParentNode:
    return ParentNode(encryption_key=key, parent_hash=b"", unmerged_leaves=unmerged)


@pytest.mark.rule("7.7-01", "12.1.1-02")
def test_trees_grow_by_doubling(leaves: list[LeafNode]) -> None:
    tree = new_tree(leaves[0])
    counts = [tree.leaf_count]
    for number, leaf in enumerate(leaves[1:], start=1):
        assert tree.add_leaf(leaf) == number
        counts.append(tree.leaf_count)
    assert counts == [1, 2, 4, 4, 8, 8, 8, 8, 16]
    assert [index for index, _ in tree.members()] == list(range(9))


@pytest.mark.rule("12.1.1-02")
def test_the_leftmost_blank_leaf_is_taken(leaves: list[LeafNode]) -> None:
    tree = grown(leaves[:8])
    for index in (5, 2, 6):
        tree.remove_leaf(LeafIndex(index))
    assert [tree.add_leaf(leaf) for leaf in leaves[:3]] == [2, 5, 6]


@pytest.mark.rule("7.7-01", "12.1.3-02")
def test_trees_shrink_when_their_right_half_is_blank(leaves: list[LeafNode]) -> None:
    tree = grown(leaves)
    counts = []
    for index in (8, 4, 5, 6, 7, 2, 3, 1):
        tree.remove_leaf(LeafIndex(index))
        counts.append(tree.leaf_count)
    assert counts == [8, 8, 8, 8, 4, 4, 2, 1]


@pytest.mark.rule("7.7-01", "12.1.3-02")
def test_removing_across_several_halves_at_once(leaves: list[LeafNode]) -> None:
    tree = grown(leaves[:1] + leaves[1:9])
    for index in range(1, 8):
        tree.remove_leaf(LeafIndex(index))
    assert tree.leaf_count == 16
    tree.remove_leaf(LeafIndex(8))
    assert tree.leaf_count == 1


@pytest.mark.rule("12.1.1-02")
def test_a_new_leaf_is_unmerged_above(leaves: list[LeafNode]) -> None:
    tree = grown(leaves[:3])
    tree.set_node(NodeIndex(3), parent(b"root"))
    tree.set_node(NodeIndex(5), parent(b"above"))
    tree.add_leaf(leaves[3])
    assert tree.parent_at(NodeIndex(3)) == parent(b"root", 3)
    assert tree.parent_at(NodeIndex(5)) == parent(b"above", 3)
    assert tree.parent_at(NodeIndex(1)) is None


@pytest.mark.rule("12.1.2-02", "12.1.3-02")
def test_update_and_remove_blank_the_direct_path(leaves: list[LeafNode]) -> None:
    for change in ("update", "remove"):
        tree = grown(leaves[:4])
        for node in (1, 3, 5):
            tree.set_node(NodeIndex(node), parent(bytes([node])))
        if change == "update":
            tree.update_leaf(LeafIndex(0), leaves[8])
        else:
            tree.remove_leaf(LeafIndex(0))
        assert [tree.nodes[node] is None for node in (1, 3, 5)] == [True, True, False]


def test_resolutions(leaves: list[LeafNode]) -> None:
    tree = grown(leaves[:4])
    assert tree.resolution(NodeIndex(3)) == [0, 2, 4, 6]
    tree.set_node(NodeIndex(1), parent(b"left", 1))
    assert tree.resolution(NodeIndex(3)) == [1, 2, 4, 6]
    tree.set_node(node_of(LeafIndex(3)), None)
    assert tree.resolution(NodeIndex(5)) == [4]
    assert tree.resolution(NodeIndex(6)) == []
    assert tree.filtered_direct_path(LeafIndex(2)) == [(3, 1)]


def test_a_copy_is_independent(suite_1: Crypto, leaves: list[LeafNode]) -> None:
    tree = grown(leaves[:4])
    before = tree_hash(suite_1, tree)
    copied = tree.copy()
    copied.remove_leaf(LeafIndex(1))
    copied.add_leaf(leaves[7])
    copied.add_leaf(leaves[8])
    assert tree_hash(suite_1, tree) == before
    assert [index for index, _ in tree.members()] == [0, 1, 2, 3]
    assert tree_hash(suite_1, copied) != before


@pytest.mark.rule("12.1.3-01")
def test_who_is_no_member(leaves: list[LeafNode]) -> None:
    tree = grown(leaves[:3])
    for index in (3, 4, 2**32 - 1):
        assert tree.leaf(LeafIndex(index)) is None
        with pytest.raises(ValidationError) as caught:
            tree.member(LeafIndex(index))
        assert caught.value.code == "not-a-member"
    with pytest.raises(UsageError):
        tree.encryption_key(NodeIndex(6))


def test_what_is_kept_is_that_of_a_tree_that_never_kept_any(suite_1: Crypto, leaves: list[LeafNode]) -> None:
    chance = random.Random(9420)
    tree = new_tree(leaves[0])
    for step in range(120):
        members = [index for index, _ in tree.members()]
        change = chance.choice(["add", "add", "remove", "update", "parent", "hash"])
        if change == "add" and len(members) < 20:
            tree.add_leaf(chance.choice(leaves))
        elif change == "remove" and len(members) > 1:
            tree.remove_leaf(chance.choice(members))
        elif change == "update":
            tree.update_leaf(chance.choice(members), chance.choice(leaves))
        elif change == "parent" and tree.leaf_count > 1:
            tree.set_node(NodeIndex(chance.randrange(1, len(tree.nodes), 2)), parent(bytes([step])))
        kept = tree_hash(suite_1, tree)
        fresh = RatchetTree(tree.nodes.copy())
        if step % 3 == 0:
            tree = tree.copy()
        assert counts(tree) == counts(fresh)
        assert tree.copy().leftmost_blank_leaf() == fresh.copy().leftmost_blank_leaf()
        for node in range(len(tree.nodes)):
            assert tree.is_empty(NodeIndex(node)) == (not tree.resolution(NodeIndex(node)))
        assert kept == tree_hash(suite_1, fresh)
        assert all(
            known is None or known == subtree_hash(suite_1, fresh, NodeIndex(node))
            for node, known in enumerate(tree.hashes)
        )


def test_a_copy_leaves_the_index_of_its_origin_alone(leaves: list[LeafNode]) -> None:
    tree = grown(leaves[:5])
    before = counts(tree.copy())
    assert tree.index.leaves == 5
    for change in (tree.copy(), tree.copy()):
        change.add_leaf(leaves[5])
        change.remove_leaf(LeafIndex(1))
        assert counts(tree) == before
        assert leaves[1].signature_key not in change.index.signature_keys
    tree.add_leaf(leaves[6])
    assert counts(tree) == counts(grown([*leaves[:5], leaves[6]]))


# -- the wire


@pytest.mark.rule("12.4.3.3-01")
def test_encoding(leaves: list[LeafNode]) -> None:
    for count in range(1, 10):
        tree = grown(leaves[:count])
        decoded = decode_tree(encode_tree(tree))
        assert decoded.nodes == tree.nodes
        assert decoded.leaf_count == tree.leaf_count


@pytest.mark.rule("12.4.3.3-02", "12.4.3.3-03")
def test_trees_that_are_malformed(leaves: list[LeafNode]) -> None:
    leaf = Node(node_type=NodeType.leaf, node=leaves[0])
    above = Node(node_type=NodeType.parent, node=parent(b"key"))
    wrong: list[tuple[Node | None, ...]] = [
        (),
        (None,),
        (leaf, None),
        (leaf, above, None),
        (above,),
        (leaf, leaf),
        (leaf, None, above),
    ]
    for nodes in wrong:
        with pytest.raises(ValidationError) as caught:
            tree_of(nodes)
        assert caught.value.code == "malformed-tree"
    for octets in (b"", b"\x01", b"\x01\x02", encode_tree(grown(leaves[:2])) + b"\x00"):
        with pytest.raises(DecodeError):
            decode_tree(octets)


@settings(max_examples=30)
@given(nodes=structs(RatchetTreeNodes))
def test_no_tree_from_the_wire_breaks_the_checks(suite_1: Crypto, nodes: RatchetTreeNodes) -> None:
    """Whatever a peer sends is refused by an error of ours, or is a valid tree."""
    try:
        tree = tree_of(nodes.nodes)
        tree_hash(suite_1, tree)
        check_unmerged_leaves(tree)
        verify_parent_hashes(suite_1, tree)
    except RemoteError:
        return
    tree.resolution(tree.root)


@settings(max_examples=50)
@given(data=st.data())
def test_well_placed_nodes_break_no_check_either(
    suite_1: Crypto, leaves: list[LeafNode], data: st.DataObject
) -> None:
    """As before, but leaves and parents stand where they may, so that the checks get further."""
    leaf_count = data.draw(st.sampled_from([1, 2, 4, 8]))
    leaf_nodes = st.sampled_from([None, *leaves])
    unmerged = st.lists(st.integers(0, 9) | st.just(2**32 - 1), max_size=4).map(tuple)
    parents = st.none() | st.builds(
        ParentNode, encryption_key=st.binary(max_size=3), parent_hash=st.just(b""), unmerged_leaves=unmerged
    )
    nodes = [data.draw(parents if place % 2 else leaf_nodes) for place in range(2 * leaf_count - 1)]
    tree = RatchetTree(nodes)
    tree_hash(suite_1, tree)
    assert tree.root == root(leaf_count)
    try:
        check_unmerged_leaves(tree)
        verify_parent_hashes(suite_1, tree)
    except RemoteError:
        return
    covered = tree.resolution(tree.root)
    assert len(set(covered)) == len(covered)
    assert all(tree.nodes[node] is not None for node in covered)
