"""Vectors of the secret tree and of the keys of sender data (§9, §6.3.2)."""

from __future__ import annotations

from collections.abc import Sequence

from ..crypto import CipherSuite, Crypto, CryptoProvider, crypto
from ..mls.protection import sender_data_key
from ..mls.secret_tree import MessageKey, RatchetKind, SecretTree, secret_tree
from ..mls.tree_math import LeafIndex
from .entry import Entry, Family, Vector, VectorFormatError

_GENERATIONS = (0, 1, 9)


def verify(provider: CryptoProvider, entry: Entry) -> None:
    """Keys and nonces of all leaves: in the order of the generations, and in a tree of their own from the last to the first."""
    suite, leaves = entry.crypto(provider), entry.nested_parts("leaves")
    _verify_sender_data(suite, entry.part("sender_data"))
    if not leaves or len(leaves) & (len(leaves) - 1) or not all(leaves):
        raise VectorFormatError("leaves is not that of a full tree with keys at every leaf")
    for forwards in (True, False):
        tree = secret_tree(entry.octets("encryption_secret"), len(leaves))
        order = list(enumerate(leaves))
        for index, generations in order if forwards else reversed(order):
            cases = sorted(generations, key=lambda case: case.number("generation"), reverse=not forwards)
            tree = _verify_leaf(suite, tree, LeafIndex(index), cases)


def _verify_sender_data(suite: Crypto, case: Entry) -> None:
    found = sender_data_key(suite, case.octets("sender_data_secret"), case.octets("ciphertext"))
    case.check("key", found.key)
    case.check("nonce", found.nonce)


def _verify_leaf(suite: Crypto, tree: SecretTree, leaf: LeafIndex, cases: Sequence[Entry]) -> SecretTree:
    for case in cases:
        for kind in RatchetKind:
            tree, found = tree.take(suite, leaf, kind, case.number("generation"))
            case.check(f"{kind.value}_key", found.key)
            case.check(f"{kind.value}_nonce", found.nonce)
    return tree


def generate(provider: CryptoProvider, cipher_suite: CipherSuite, leaf_count: int) -> Vector:
    """An entry for a tree of `leaf_count` leaves, a power of two."""
    suite = crypto(provider, cipher_suite)
    encryption_secret, sender_data_secret = suite.random(suite.Nh), suite.random(suite.Nh)
    # Longer than the sample that is taken of it.
    ciphertext = suite.random(suite.Nh + 13)
    sender_data = sender_data_key(suite, sender_data_secret, ciphertext)
    tree = secret_tree(encryption_secret, leaf_count)
    leaves = []
    for leaf in range(leaf_count):
        cases = []
        for generation in _GENERATIONS:
            tree, handshake = tree.take(suite, LeafIndex(leaf), RatchetKind.handshake, generation)
            tree, application = tree.take(suite, LeafIndex(leaf), RatchetKind.application, generation)
            cases.append(
                {
                    "generation": generation,
                    **_hex("handshake_", handshake),
                    **_hex("application_", application),
                }
            )
        leaves.append(cases)
    return {
        "cipher_suite": cipher_suite,
        "encryption_secret": encryption_secret.hex(),
        "sender_data": {
            "sender_data_secret": sender_data_secret.hex(),
            "ciphertext": ciphertext.hex(),
            **_hex("", sender_data),
        },
        "leaves": leaves,
    }


def _hex(prefix: str, key: MessageKey) -> dict[str, str]:
    return {f"{prefix}key": key.key.hex(), f"{prefix}nonce": key.nonce.hex()}


FAMILY = Family(
    name="secret-tree",
    keys=frozenset({"cipher_suite", "encryption_secret", "sender_data", "leaves"}),
    verify=verify,
    generate=generate,
    parameters=(1, 4),
)
