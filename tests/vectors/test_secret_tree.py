"""Official vectors: the secret tree and the keys of sender data (§9, §6.3.2)."""

from mls_federation.crypto import CipherSuite, Crypto, CryptoProvider, crypto
from mls_federation.mls.protection import sender_data_key
from mls_federation.mls.secret_tree import RatchetKind, SecretTree, secret_tree
from mls_federation.mls.tree_math import LeafIndex
from tests.support.vector_files import Vector, verify_each


def test_secret_tree(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_each("secret-tree", provider, cipher_suite, verify)


def verify(provider: CryptoProvider, vector: Vector) -> None:
    suite = crypto(provider, vector["cipher_suite"])
    verify_sender_data(suite, vector["sender_data"])
    tree = secret_tree(bytes.fromhex(vector["encryption_secret"]), len(vector["leaves"]))
    for index, generations in enumerate(vector["leaves"]):
        # In the order of the generations, and then, in a tree of their own, from the last to the first.
        tree = verify_leaf(suite, tree, LeafIndex(index), generations)
    tree = secret_tree(bytes.fromhex(vector["encryption_secret"]), len(vector["leaves"]))
    for index, generations in reversed(list(enumerate(vector["leaves"]))):
        tree = verify_leaf(suite, tree, LeafIndex(index), generations[::-1])


def verify_sender_data(suite: Crypto, case: Vector) -> None:
    key = sender_data_key(suite, bytes.fromhex(case["sender_data_secret"]), bytes.fromhex(case["ciphertext"]))
    assert key.key.hex() == case["key"]
    assert key.nonce.hex() == case["nonce"]


def verify_leaf(suite: Crypto, tree: SecretTree, leaf: LeafIndex, generations: list[Vector]) -> SecretTree:
    assert generations
    for case in generations:
        for kind in RatchetKind:
            tree, key = tree.take(suite, leaf, kind, case["generation"])
            assert key.key.hex() == case[f"{kind.value}_key"]
            assert key.nonce.hex() == case[f"{kind.value}_nonce"]
    return tree
