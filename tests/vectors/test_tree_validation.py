"""Official vectors: resolutions, tree hashes, parent hashes and leaf signatures (§4.1.1, §7.8, §7.9, §7.2)."""

from mls_federation.crypto import CipherSuite, CryptoProvider, crypto
from mls_federation.mls.nodes import signed_leaf
from mls_federation.mls.ratchet_tree import decode_tree, encode_tree
from mls_federation.mls.tree_hashes import check_unmerged_leaves, subtree_hash, verify_parent_hashes
from mls_federation.mls.tree_math import NodeIndex
from tests.support.vector_files import Vector, verify_each


def test_tree_validation(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_each("tree-validation", provider, cipher_suite, verify)


def verify(provider: CryptoProvider, vector: Vector) -> None:
    suite = crypto(provider, vector["cipher_suite"])
    tree = decode_tree(bytes.fromhex(vector["tree"]))
    group_id = bytes.fromhex(vector["group_id"])
    nodes = [NodeIndex(node) for node in range(len(tree.nodes))]

    assert encode_tree(tree).hex() == vector["tree"]
    assert [tree.resolution(node) for node in nodes] == vector["resolutions"]
    assert [subtree_hash(suite, tree, node).hex() for node in nodes] == vector["tree_hashes"]
    verify_parent_hashes(suite, tree)
    check_unmerged_leaves(tree)
    signed = [signed_leaf(leaf, group_id, index) for index, leaf in tree.members()]
    assert signed
    suite.verify_all(signed)
