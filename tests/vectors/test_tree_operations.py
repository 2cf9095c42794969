"""Official vectors: what add, update and remove do to the tree (§12.1, §7.7)."""

from mls_federation.crypto import Crypto, CryptoProvider, crypto
from mls_federation.mls.proposals import Add, Proposal, Remove, Update
from mls_federation.mls.ratchet_tree import RatchetTree, decode_tree, encode_tree
from mls_federation.mls.tree_hashes import tree_hash
from mls_federation.mls.tree_math import LeafIndex, NodeIndex
from tests.support.vector_files import Vector, every_vector


def test_tree_operations(provider: CryptoProvider) -> None:
    for vector in every_vector("tree-operations"):
        verify(provider, vector)


def verify(provider: CryptoProvider, vector: Vector) -> None:
    suite = crypto(provider, vector["cipher_suite"])
    before = decode_tree(bytes.fromhex(vector["tree_before"]))
    assert tree_hash(suite, before).hex() == vector["tree_hash_before"]

    after = before.copy()
    apply(after, bytes.fromhex(vector["proposal"]), LeafIndex(vector["proposal_sender"]))

    assert encode_tree(after).hex() == vector["tree_after"]
    assert_hash(suite, after, vector["tree_hash_after"])
    assert_hash(suite, before, vector["tree_hash_before"])


def apply(tree: RatchetTree, encoded: bytes, sender: LeafIndex) -> None:
    match Proposal.decode(encoded).proposal:
        case Add(key_package=package):
            tree.add_leaf(package.leaf_node)
        case Update(leaf_node=leaf):
            tree.update_leaf(sender, leaf)
        case Remove(removed=removed):
            tree.remove_leaf(LeafIndex(removed))
        case other:
            raise AssertionError(f"the file has a {type(other).__name__}")


def assert_hash(suite: Crypto, tree: RatchetTree, expected: str) -> None:
    """The tree hash is right both with what was kept from before the change and without."""
    assert tree_hash(suite, tree).hex() == expected
    for node in range(len(tree.nodes)):
        tree.forget_hashes(NodeIndex(node))
    assert tree_hash(suite, tree).hex() == expected
