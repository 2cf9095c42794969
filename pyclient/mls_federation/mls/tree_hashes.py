"""Tree hashes (§7.8) and parent hashes (§7.9), and the validity of a tree that they prove (§12.4.3.1)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from ..codec import Opt, Struct, opaque, prefixed, replace, select, uint32
from ..crypto import Crypto
from ..errors import ValidationError
from .nodes import LeafNode, LeafNodeSource, NodeType, ParentNode
from .ratchet_tree import RatchetTree, is_below
from .tree_math import LeafIndex, NodeIndex, direct_path, leaf_of, leaves_below, left, level, node_of, right


class LeafNodeHashInput(Struct):
    """What a leaf contributes."""

    leaf_index: uint32
    leaf_node: Opt[LeafNode]


class ParentNodeHashInput(Struct):
    """What a parent contributes."""

    parent_node: Opt[ParentNode]
    left_hash: opaque
    right_hash: opaque


class TreeHashInput(Struct):
    """What a tree hash is made of (§7.8)."""

    node_type: NodeType
    node: LeafNodeHashInput | ParentNodeHashInput = select(
        "node_type", {NodeType.leaf: LeafNodeHashInput, NodeType.parent: ParentNodeHashInput}
    )


class ParentHashInput(Struct):
    """What a parent hash is made of (§7.9)."""

    encryption_key: opaque
    parent_hash: opaque
    original_sibling_tree_hash: opaque


_LEAF, _PARENT = bytes([NodeType.leaf]), bytes([NodeType.parent])


def tree_hash(crypto: Crypto, tree: RatchetTree) -> bytes:
    """The hash of the whole tree. Hashes only what has changed since it was last called."""
    return subtree_hash(crypto, tree, tree.root)


def subtree_hash(crypto: Crypto, tree: RatchetTree, node: NodeIndex) -> bytes:
    """The tree hash of the subtree at `node`, kept in `tree.hashes`."""
    known = tree.hashes[node]
    if known is None:
        if level(node) == 0:
            known = _leaf_hash(crypto, leaf_of(node), tree.leaf(leaf_of(node)))
        else:
            below = subtree_hash(crypto, tree, left(node)), subtree_hash(crypto, tree, right(node))
            known = _parent_node_hash(crypto, tree.parent_at(node), *below)
        tree.hashes[node] = known
    return known


def original_tree_hash(
    crypto: Crypto, tree: RatchetTree, node: NodeIndex, without: AbstractSet[int]
) -> bytes:
    """The tree hash of a subtree as if the leaves `without` had never been added (§7.9)."""
    in_order = sorted(without)

    def original(node: NodeIndex) -> bytes:
        # A group's leaves may nearly all be unmerged: to look at each of them for each node would be O(n^2).
        below = leaves_below(node)
        first = bisect_left(in_order, below.start)
        if first == len(in_order) or in_order[first] not in below:
            return subtree_hash(crypto, tree, node)
        if level(node) == 0:
            return _leaf_hash(crypto, leaf_of(node), None)
        parent = tree.parent_at(node)
        if parent is not None:
            kept = tuple(leaf for leaf in parent.unmerged_leaves if leaf not in without)
            parent = replace(parent, unmerged_leaves=kept)
        return _parent_node_hash(crypto, parent, original(left(node)), original(right(node)))

    return original(node)


def parent_hash(crypto: Crypto, tree: RatchetTree, node: NodeIndex, sibling: NodeIndex) -> bytes:
    """The parent hash of a non-blank parent with its copath child `sibling` (§7.9)."""
    parent = tree.parent_at(node)
    if parent is None:
        raise ValidationError("a parent hash of a blank node", code="bad-parent-hash", section="7.9")
    original = original_tree_hash(crypto, tree, sibling, frozenset(parent.unmerged_leaves))
    # The octets of a ParentHashInput.
    return crypto.hash(prefixed(parent.encryption_key) + prefixed(parent.parent_hash) + prefixed(original))


def fill_path(
    crypto: Crypto,
    tree: RatchetTree,
    steps: Sequence[tuple[NodeIndex, NodeIndex]],
    encryption_keys: Sequence[bytes],
) -> bytes:
    """Put new parent nodes into a filtered direct path, with their parent hashes, from the root down (§7.5).

    Args:
        steps: of the path, from the bottom up, each with its child on the copath.
        encryption_keys: one for each step.

    Returns:
        The parent hash for the leaf; empty if the path is.
    """
    above = b""
    for (node, sibling), encryption_key in zip(reversed(steps), reversed(encryption_keys), strict=True):
        parent = ParentNode(encryption_key=encryption_key, parent_hash=above, unmerged_leaves=())
        tree.set_node(node, parent)
        above = parent_hash(crypto, tree, node, sibling)
    return above


def verify_parent_hashes(crypto: Crypto, tree: RatchetTree) -> None:
    """§7.9.2: each non-blank parent must chain down to exactly one leaf that was signed with it.

    Raises:
        ValidationError: code `bad-parent-hash`.
    """
    for place in range(1, len(tree.nodes), 2):
        node = NodeIndex(place)
        if tree.nodes[node] is None:
            continue
        sides = ((left(node), right(node)), (right(node), left(node)))
        if sum(_chains_down(crypto, tree, node, child, sibling) for child, sibling in sides) != 1:
            raise ValidationError(
                f"the parent hash of node {node} does not chain to a leaf",
                code="bad-parent-hash",
                section="7.9.2",
            )


def check_unmerged_leaves(tree: RatchetTree) -> None:
    """§12.4.3.1: unmerged leaves are members below their parent, listed by every parent between, in order.

    Raises:
        ValidationError: code `bad-unmerged-leaves`.
    """
    parents = [
        (NodeIndex(place), parent)
        for place in range(1, len(tree.nodes), 2)
        if (parent := tree.parent_at(NodeIndex(place))) is not None
    ]
    listed = {node: frozenset(parent.unmerged_leaves) for node, parent in parents}
    for node, parent in parents:
        unmerged = parent.unmerged_leaves
        in_order = list(unmerged) == sorted(listed[node])
        if not in_order or not all(_is_unmerged(tree, listed, node, LeafIndex(leaf)) for leaf in unmerged):
            raise ValidationError(
                f"the unmerged leaves of node {node} are not valid",
                code="bad-unmerged-leaves",
                section="12.4.3.1",
            )


def _is_unmerged(
    tree: RatchetTree, listed: Mapping[NodeIndex, AbstractSet[int]], node: NodeIndex, leaf: LeafIndex
) -> bool:
    """Whether a leaf may be an unmerged one of `node`, where `listed` has those of each parent."""
    if not is_below(leaf, node) or tree.leaf(leaf) is None:
        return False
    for between in direct_path(node_of(leaf), tree.leaf_count):
        if between == node:
            return True
        if between in listed and leaf not in listed[between]:
            return False
    return False


def _chains_down(
    crypto: Crypto, tree: RatchetTree, node: NodeIndex, child: NodeIndex, sibling: NodeIndex
) -> bool:
    """Whether one node of `child`'s resolution has the parent hash of `node`, and the rest came later."""
    parent = tree.parent_at(node)
    assert parent is not None
    resolution = tree.resolution(child)
    later = {node_of(LeafIndex(leaf)) for leaf in parent.unmerged_leaves if is_below(LeafIndex(leaf), child)}
    if len(resolution) != len(later) + 1:
        return False
    (below, *others) = (place for place in resolution if place not in later)
    if others:
        return False
    found = tree.nodes[below]
    if isinstance(found, ParentNode):
        claimed = found.parent_hash
    elif isinstance(found, LeafNode) and found.leaf_node_source == LeafNodeSource.commit:
        assert isinstance(found.source, bytes)
        claimed = found.source
    else:
        return False
    return claimed == parent_hash(crypto, tree, node, sibling)


def _leaf_hash(crypto: Crypto, index: LeafIndex, leaf: LeafNode | None) -> bytes:
    # The octets of a TreeHashInput. A joiner hashes every node of the tree, so no structs are built for them.
    present = b"\x00" if leaf is None else b"\x01" + leaf.encode()
    return crypto.hash(_LEAF + index.to_bytes(4, "big") + present)


def _parent_node_hash(
    crypto: Crypto, parent: ParentNode | None, left_hash: bytes, right_hash: bytes
) -> bytes:
    present = b"\x00" if parent is None else b"\x01" + parent.encode()
    return crypto.hash(_PARENT + present + prefixed(left_hash) + prefixed(right_hash))
