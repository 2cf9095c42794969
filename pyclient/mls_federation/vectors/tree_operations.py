"""Vectors of what Add, Update and Remove do to the tree (§12.1, §7.7)."""

from __future__ import annotations

from dataclasses import dataclass

from ..crypto import CipherSuite, Crypto, CryptoProvider, crypto
from ..mls.proposals import Add, Proposal, Remove, Update, proposal
from ..mls.ratchet_tree import RatchetTree, decode_tree, encode_tree
from ..mls.tree_hashes import tree_hash
from ..mls.tree_math import LeafIndex, NodeIndex
from .entry import Entry, Family, Vector, VectorFormatError, check
from .members import new_key_package
from .trees import KnownTree, Shape, grow, update_leaf_of


@dataclass(frozen=True)
class Operation:
    """A proposal by leaf 0 to a tree of some shape; `target` is who is removed."""

    shape: Shape
    proposal: type[Add | Update | Remove]
    target: int = 0


def verify(provider: CryptoProvider, entry: Entry) -> None:
    """The tree after the proposal, and the hashes of both."""
    suite = entry.crypto(provider)
    before = decode_tree(entry.octets("tree_before"))
    entry.check("tree_hash_before", tree_hash(suite, before))

    after = before.copy()
    _apply(after, Proposal.decode(entry.octets("proposal")), LeafIndex(entry.number("proposal_sender")))
    if not any(after.members()):
        raise VectorFormatError("proposal removes the only member")
    entry.check("tree_after", encode_tree(after))
    _check_hash(suite, entry, "tree_hash_after", after)
    _check_hash(suite, entry, "tree_hash_before", before)


def _apply(tree: RatchetTree, change: Proposal, sender: LeafIndex) -> None:
    match change.proposal:
        case Add(key_package=package):
            tree.add_leaf(package.leaf_node)
        case Update(leaf_node=leaf):
            tree.member(sender)
            tree.update_leaf(sender, leaf)
        case Remove(removed=removed):
            tree.member(LeafIndex(removed))
            tree.remove_leaf(LeafIndex(removed))
        case other:
            raise VectorFormatError(f"proposal is a {type(other).__name__}")


def _check_hash(suite: Crypto, entry: Entry, name: str, tree: RatchetTree) -> None:
    """The tree hash is right both with what was kept from before the change and without."""
    entry.check(name, tree_hash(suite, tree))
    for node in range(len(tree.nodes)):
        tree.forget_hashes(NodeIndex(node))
    check(f"{name}, hashed anew", entry.octets(name), tree_hash(suite, tree))


def generate(provider: CryptoProvider, cipher_suite: CipherSuite, operation: Operation) -> Vector:
    """An entry for one operation."""
    suite = crypto(provider, cipher_suite)
    known = grow(suite, operation.shape)
    change, before = _proposal(known, operation), known.tree
    after = before.copy()
    _apply(after, change, LeafIndex(0))
    return {
        "cipher_suite": cipher_suite,
        "tree_before": encode_tree(before).hex(),
        "proposal": change.encode().hex(),
        "proposal_sender": 0,
        "tree_hash_before": tree_hash(suite, before).hex(),
        "tree_after": encode_tree(after).hex(),
        "tree_hash_after": tree_hash(suite, after).hex(),
    }


def _proposal(known: KnownTree, operation: Operation) -> Proposal:
    if operation.proposal is Add:
        return proposal(Add(key_package=new_key_package(known.crypto, "newcomer").key_package))
    if operation.proposal is Update:
        return proposal(Update(leaf_node=update_leaf_of(known, LeafIndex(0))))
    return proposal(Remove(removed=operation.target))


FAMILY = Family(
    name="tree-operations",
    keys=frozenset(
        {
            "cipher_suite",
            "tree_before",
            "proposal",
            "proposal_sender",
            "tree_hash_before",
            "tree_after",
            "tree_hash_after",
        }
    ),
    verify=verify,
    generate=generate,
    parameters=(
        # Extends the tree; fills a blank leaf; is unmerged below the parents that are there.
        Operation(Shape(2), Add),
        Operation(Shape(3, removed=(1,)), Add),
        Operation(Shape(3), Add),
        Operation(Shape(2), Update),
        # Blanks a leaf; truncates the tree.
        Operation(Shape(3), Remove, target=1),
        Operation(Shape(3), Remove, target=2),
    ),
)
