"""What is signed or hashed is written as it is declared, though it is cut out of what is sent (§7.2, §7.8, §10, §12.4.3)."""

from __future__ import annotations

from mls_federation.codec import replace
from mls_federation.crypto import Crypto
from mls_federation.mls.group import group_info
from mls_federation.mls.key_package import KeyPackageTBS, key_package_tbs
from mls_federation.mls.nodes import (
    LeafNode,
    LeafNodePosition,
    LeafNodeSource,
    LeafNodeTBS,
    NodeType,
    leaf_node_tbs,
)
from mls_federation.mls.tree_hashes import (
    LeafNodeHashInput,
    ParentHashInput,
    ParentNodeHashInput,
    TreeHashInput,
    parent_hash,
    subtree_hash,
)
from mls_federation.mls.tree_math import LeafIndex, NodeIndex, leaf_of, left, level, right
from mls_federation.mls.welcome import GroupInfoTBS, group_info_tbs
from tests.support.pair import Party, new_client


def declared(leaf: LeafNode, position: LeafNodePosition | None) -> bytes:
    return LeafNodeTBS(
        encryption_key=leaf.encryption_key,
        signature_key=leaf.signature_key,
        credential=leaf.credential,
        capabilities=leaf.capabilities,
        leaf_node_source=leaf.leaf_node_source,
        source=leaf.source,
        extensions=leaf.extensions,
        position=position,
    ).encode()


def test_leaves(suite_1: Crypto) -> None:
    leaf = new_client(suite_1, "ann").key_package().key_package.leaf_node
    position = LeafNodePosition(group_id=b"group", leaf_index=5)
    for signature in (leaf.signature, b"", b"x" * 63, b"x" * 64, b"x" * 20_000):
        of_key_package = replace(leaf, signature=signature)
        assert leaf_node_tbs(of_key_package, b"group", LeafIndex(5)) == declared(leaf, None)
        for source, value in ((LeafNodeSource.update, None), (LeafNodeSource.commit, b"parent hash")):
            in_group = replace(of_key_package, leaf_node_source=source, source=value)
            assert leaf_node_tbs(in_group, b"group", LeafIndex(5)) == declared(in_group, position)


def test_key_packages(suite_1: Crypto) -> None:
    package = new_client(suite_1, "ann").key_package().key_package
    tbs = KeyPackageTBS(
        version=package.version,
        cipher_suite=package.cipher_suite,
        init_key=package.init_key,
        leaf_node=package.leaf_node,
        extensions=package.extensions,
    )
    assert key_package_tbs(package) == tbs.encode()


def test_group_infos(suite_1: Crypto) -> None:
    info = group_info(Party(suite_1, "ann", "ben").groups["ann"], with_external_pub=True)
    tbs = GroupInfoTBS(
        group_context=info.group_context,
        extensions=info.extensions,
        confirmation_tag=info.confirmation_tag,
        signer=info.signer,
    )
    assert group_info_tbs(info) == tbs.encode()


def test_tree_hashes(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "cat", "dan", "eve")
    party.commit("cat")
    tree = party.groups["ann"].tree
    assert {node is None for node in tree.nodes[1::2]} == {True, False}
    for place in range(len(tree.nodes)):
        node = NodeIndex(place)
        if level(node) == 0:
            leaf = LeafNodeHashInput(leaf_index=leaf_of(node), leaf_node=tree.leaf(leaf_of(node)))
            declared_input = TreeHashInput(node_type=NodeType.leaf, node=leaf)
        else:
            parent = ParentNodeHashInput(
                parent_node=tree.parent_at(node),
                left_hash=subtree_hash(suite_1, tree, left(node)),
                right_hash=subtree_hash(suite_1, tree, right(node)),
            )
            declared_input = TreeHashInput(node_type=NodeType.parent, node=parent)
        assert subtree_hash(suite_1, tree, node) == suite_1.hash(declared_input.encode())


def test_parent_hashes(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "cat", "dan")
    party.commit("cat")
    tree = party.groups["ann"].tree
    node, sibling = tree.root, left(tree.root)
    parent = tree.parent_at(node)
    assert parent is not None
    declared_input = ParentHashInput(
        encryption_key=parent.encryption_key,
        parent_hash=parent.parent_hash,
        original_sibling_tree_hash=subtree_hash(suite_1, tree, sibling),
    )
    assert parent_hash(suite_1, tree, node, sibling) == suite_1.hash(declared_input.encode())
