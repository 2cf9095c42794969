"""Ratchet trees whose members' private keys are all known, grown as the working group's test trees are.

Each member in turn commits the addition of the next; then what a `Shape` asks for happens.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..codec import replace
from ..crypto import Crypto, KeyPair
from ..mls.nodes import LeafNode, LeafNodeSource, sign_leaf_node
from ..mls.ratchet_tree import RatchetTree, new_tree
from ..mls.tree_math import LeafIndex, NodeIndex, is_in_subtree, node_of
from ..mls.treekem import renew_path
from .members import new_key_package


@dataclass(frozen=True)
class Shape:
    """What a test tree looks like.

    Attributes:
        members: who come at first, by a commit each.
        removed: leaves that leaf 0 then removes by one commit.
        added: who are added last, by a commit without a path: unmerged leaves.
    """

    members: int
    removed: tuple[int, ...] = ()
    added: int = 0


@dataclass
class KnownTree:
    """A tree, and what its members know.

    Attributes:
        signature_keys: of each leaf. Secret.
        encryption_keys: of each leaf. Secret.
        path_secrets: of each node above the leaves that is not blank. Secret.
        knows: the nodes whose path secrets each member has, in no order.
    """

    crypto: Crypto
    group_id: bytes
    tree: RatchetTree
    signature_keys: dict[LeafIndex, KeyPair] = field(repr=False, default_factory=dict)
    encryption_keys: dict[LeafIndex, KeyPair] = field(repr=False, default_factory=dict)
    path_secrets: dict[NodeIndex, bytes] = field(repr=False, default_factory=dict)
    knows: dict[LeafIndex, set[NodeIndex]] = field(default_factory=dict)

    def add(self, leaf: LeafNode, encryption_key: KeyPair, signature_key: KeyPair) -> LeafIndex:
        """Add a member that knows no path secret yet."""
        index = self.tree.add_leaf(leaf)
        self.seat(index, encryption_key, signature_key)
        return index

    def commit(self, index: LeafIndex) -> None:
        """Let a member renew its path; every other member learns its part of it."""
        signer = self.signature_keys[index].private_key
        path = renew_path(self.crypto, self.tree, index, self.tree.member(index), signer, self.group_id)
        self.encryption_keys[index] = path.private_keys[node_of(index)]
        self.path_secrets |= path.path_secrets
        for member, known in self.knows.items():
            known |= {node for node in path.path_secrets if is_in_subtree(node_of(member), node)}
        self._forget_blank()

    def remove(self, index: LeafIndex) -> None:
        """Remove a member."""
        self.tree.remove_leaf(index)
        del self.signature_keys[index], self.encryption_keys[index], self.knows[index]
        self._forget_blank()

    def seat(self, index: LeafIndex, encryption_key: KeyPair, signature_key: KeyPair) -> None:
        """Note the keys of whoever is at a leaf now."""
        self.encryption_keys[index] = encryption_key
        self.signature_keys[index] = signature_key
        self.knows[index] = set()

    def _forget_blank(self) -> None:
        nodes = self.tree.nodes
        blank = {node for node in self.path_secrets if node >= len(nodes) or nodes[node] is None}
        self.path_secrets = {node: secret for node, secret in self.path_secrets.items() if node not in blank}
        for known in self.knows.values():
            known -= blank


def grow(crypto: Crypto, shape: Shape) -> KnownTree:
    """A tree of a shape, with random keys."""
    group_id = crypto.random(16)
    leaf, keys, signer = _new_leaf(crypto, 0)
    known = KnownTree(crypto, group_id, new_tree(leaf))
    known.seat(LeafIndex(0), keys, signer)
    for number in range(1, shape.members):
        known.add(*_new_leaf(crypto, number))
        known.commit(LeafIndex(number - 1))
    for removed in shape.removed:
        known.remove(LeafIndex(removed))
    if shape.removed:
        known.commit(LeafIndex(0))
    for number in range(shape.added):
        known.add(*_new_leaf(crypto, shape.members + number))
    return known


def update_leaf_of(known: KnownTree, index: LeafIndex) -> LeafNode:
    """A member's leaf with a fresh key, as an Update has it."""
    crypto, signer = known.crypto, known.signature_keys[index].private_key
    leaf = replace(
        known.tree.member(index),
        encryption_key=crypto.generate_key_pair().public_key,
        leaf_node_source=LeafNodeSource.update,
        source=None,
    )
    return sign_leaf_node(crypto, signer, leaf, known.group_id, index)


def _new_leaf(crypto: Crypto, number: int) -> tuple[LeafNode, KeyPair, KeyPair]:
    """The leaf of a new member with its two key pairs."""
    signer = crypto.generate_signature_key()
    own = new_key_package(crypto, f"member {number}", signer)
    return own.key_package.leaf_node, own.encryption_key, signer
