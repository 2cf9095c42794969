"""Vectors of resolutions, tree hashes, parent hashes and leaf signatures (§4.1.1, §7.8, §7.9, §7.2)."""

from __future__ import annotations

from ..crypto import CipherSuite, CryptoProvider, crypto
from ..mls.nodes import signed_leaf
from ..mls.ratchet_tree import RatchetTree, decode_tree, encode_tree
from ..mls.tree_hashes import check_unmerged_leaves, subtree_hash, verify_parent_hashes
from ..mls.tree_math import NodeIndex
from .entry import Entry, Family, Vector
from .trees import Shape, grow


def verify(provider: CryptoProvider, entry: Entry) -> None:
    """All that can be checked of a tree by somebody who joins."""
    suite, group_id = entry.crypto(provider), entry.octets("group_id")
    tree = decode_tree(entry.octets("tree"))
    entry.check("tree", encode_tree(tree))
    entry.check("resolutions", [tree.resolution(node) for node in _nodes(tree)])
    entry.check("tree_hashes", [subtree_hash(suite, tree, node).hex() for node in _nodes(tree)])
    verify_parent_hashes(suite, tree)
    check_unmerged_leaves(tree)
    suite.verify_all([signed_leaf(leaf, group_id, index) for index, leaf in tree.members()])


def generate(provider: CryptoProvider, cipher_suite: CipherSuite, shape: Shape) -> Vector:
    """An entry for a tree of a shape."""
    suite = crypto(provider, cipher_suite)
    known = grow(suite, shape)
    tree = known.tree
    return {
        "cipher_suite": cipher_suite,
        "tree": encode_tree(tree).hex(),
        "group_id": known.group_id.hex(),
        "resolutions": [tree.resolution(node) for node in _nodes(tree)],
        "tree_hashes": [subtree_hash(suite, tree, node).hex() for node in _nodes(tree)],
    }


def _nodes(tree: RatchetTree) -> list[NodeIndex]:
    return [NodeIndex(node) for node in range(len(tree.nodes))]


FAMILY = Family(
    name="tree-validation",
    keys=frozenset({"cipher_suite", "tree", "group_id", "resolutions", "tree_hashes"}),
    verify=verify,
    generate=generate,
    # Full; with blanks inside and at the end; with an unmerged leaf.
    parameters=(Shape(2), Shape(3), Shape(4, removed=(1, 2)), Shape(3, added=1)),
)
