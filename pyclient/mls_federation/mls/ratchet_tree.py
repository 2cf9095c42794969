"""The ratchet tree: who the members are, and the public keys above them (§4, §7.1, §7.7, §12.4.3.3).

A `RatchetTree` is changed in place while one operation is at work on its own copy; a tree that a group's state holds is
never changed. Tree hashes are kept with the nodes, and a change forgets only those from the changed node to the root, so
the next hash costs O(log n) instead of O(n); likewise the index of what its members have in common.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from ..codec import Opt, Struct, Vec, replace
from ..errors import UsageError, ValidationError
from .nodes import LeafNode, Node, NodeType, ParentNode
from .tree_index import TreeIndex
from .tree_math import (
    LeafIndex,
    NodeIndex,
    copath,
    direct_path,
    is_in_subtree,
    leaf_of,
    level,
    node_of,
    node_width,
    root,
)

AnyNode: TypeAlias = LeafNode | ParentNode


class RatchetTreeNodes(Struct):
    """The `ratchet_tree` extension (§12.4.3.3)."""

    nodes: Vec[Opt[Node]]


class RatchetTree:
    """A tree of `leaf_count` leaves, blank ones included; always a power of two.

    Attributes:
        nodes: the array of Appendix C; None is a blank node.
        hashes: the tree hash of each node's subtree; None where it is not known. Kept by `tree_hashes`.
    """

    __slots__ = ("_first_blank", "_index", "_index_is_shared", "hashes", "nodes")

    def __init__(self, nodes: list[AnyNode | None], hashes: list[bytes | None] | None = None) -> None:
        self.nodes = nodes
        self.hashes: list[bytes | None] = [None] * len(nodes) if hashes is None else hashes
        self._index: TreeIndex | None = None
        self._index_is_shared = False
        self._first_blank = 0  # no leaf before this one is blank

    def copy(self) -> RatchetTree:
        """A tree that can be changed without changing this one. Nodes are immutable, so they are shared."""
        other = RatchetTree(self.nodes.copy(), self.hashes.copy())
        other._first_blank = self._first_blank
        other._index = self._index
        other._index_is_shared = self._index_is_shared = self._index is not None
        return other

    @property
    def index(self) -> TreeIndex:
        """What the members have in common. Made when it is first asked for, then kept in step."""
        if self._index is None:
            self._index = TreeIndex()
            for node in self.nodes:
                if node is not None:
                    self._index.add(node)
        return self._index

    def __repr__(self) -> str:
        return f"RatchetTree({sum(1 for _ in self.members())} members, {self.leaf_count} leaves)"

    @property
    def leaf_count(self) -> int:
        """Leaves that the tree has room for. Not the number of members."""
        return (len(self.nodes) + 1) // 2

    @property
    def root(self) -> NodeIndex:
        """The node index of the root."""
        return root(self.leaf_count)

    def leaf(self, index: LeafIndex) -> LeafNode | None:
        """The member at a leaf; None if the leaf is blank or outside the tree."""
        place = node_of(index)
        if not 0 <= place < len(self.nodes):
            return None
        found = self.nodes[place]
        assert found is None or isinstance(found, LeafNode)  # places are checked when a tree is decoded
        return found

    def member(self, index: LeafIndex) -> LeafNode:
        """The member at a leaf.

        Raises:
            ValidationError: code `not-a-member`: there is none.
        """
        found = self.leaf(index)
        if found is None:
            raise ValidationError(f"there is no member at leaf {index}", code="not-a-member")
        return found

    def members(self) -> Iterator[tuple[LeafIndex, LeafNode]]:
        """All members with their leaf indices, from left to right."""
        for place in range(0, len(self.nodes), 2):
            leaf = self.nodes[place]
            if isinstance(leaf, LeafNode):
                yield leaf_of(NodeIndex(place)), leaf

    def parent_at(self, node: NodeIndex) -> ParentNode | None:
        """The parent node at a place that is no leaf's; None if it is blank."""
        found = self.nodes[node]
        assert found is None or isinstance(found, ParentNode)  # as above
        return found

    def set_node(self, node: NodeIndex, value: AnyNode | None) -> None:
        """Put a node into its place, or blank it."""
        self._put(node, value)
        self.forget_hashes(node)

    def _put(self, node: NodeIndex, value: AnyNode | None) -> None:
        """Every change of `nodes` comes here, for the index's sake."""
        old = self.nodes[node]
        if self._index is not None and old is not value:
            if self._index_is_shared:
                self._index, self._index_is_shared = self._index.copy(), False
            if old is not None:
                self._index.remove(old)
            if value is not None:
                self._index.add(value)
        self.nodes[node] = value
        if value is None and node < 2 * self._first_blank:
            self._first_blank = node // 2

    def forget_hashes(self, node: NodeIndex) -> None:
        """Forget the tree hashes that depend on a node: its own and its ancestors'."""
        self.hashes[node] = None
        for above in direct_path(node, self.leaf_count):
            if self.hashes[above] is None:
                break  # a hash is known only if those below it are
            self.hashes[above] = None

    # -- changes that proposals make (§12.1, §7.7)

    def add_leaf(self, leaf: LeafNode) -> LeafIndex:
        """Add a member at the leftmost blank leaf, extending the tree if there is none (§12.1.1)."""
        index = self.leftmost_blank_leaf()
        for above in direct_path(node_of(index), self.leaf_count):
            parent = self.parent_at(above)
            if parent is not None:
                unmerged = [*parent.unmerged_leaves]
                insort(unmerged, index)
                self._put(above, replace(parent, unmerged_leaves=tuple(unmerged)))
        self.set_node(node_of(index), leaf)
        return index

    def leftmost_blank_leaf(self) -> LeafIndex:
        """The leftmost blank leaf; the tree is extended if it has none (§7.7)."""
        for place in range(2 * self._first_blank, len(self.nodes), 2):
            if self.nodes[place] is None:
                self._first_blank = place // 2
                return leaf_of(NodeIndex(place))
        first_new = LeafIndex(self.leaf_count)
        self._first_blank = first_new
        added = node_width(2 * self.leaf_count) - len(self.nodes)
        self.nodes.extend([None] * added)
        self.hashes.extend([None] * added)
        return first_new

    def update_leaf(self, index: LeafIndex, leaf: LeafNode) -> None:
        """Replace a member's leaf and blank its direct path (§12.1.2)."""
        self.set_node(node_of(index), leaf)
        self.blank_direct_path(index)

    def remove_leaf(self, index: LeafIndex) -> None:
        """Remove a member: blank its leaf and direct path, and truncate the tree (§12.1.3, §7.7)."""
        self.set_node(node_of(index), None)
        self.blank_direct_path(index)
        while self.leaf_count > 1 and all(
            self.nodes[place] is None for place in range(len(self.nodes) // 2 + 1, len(self.nodes), 2)
        ):
            kept = node_width(self.leaf_count // 2)
            for place in range(kept, len(self.nodes)):
                self._put(NodeIndex(place), None)
            del self.nodes[kept:]
            del self.hashes[kept:]

    def blank_direct_path(self, index: LeafIndex) -> None:
        """Blank all ancestors of a leaf."""
        for above in direct_path(node_of(index), self.leaf_count):
            self._put(above, None)
            self.hashes[above] = None

    # -- what is derived from it

    def resolution(self, node: NodeIndex) -> list[NodeIndex]:
        """The non-blank nodes that together cover a subtree (§4.1.1)."""
        resolution: list[NodeIndex] = []
        # A blank node stands for its two children, which are half as far away from each other as its parent's.
        pending = [(node, (1 << level(node)) >> 1)]
        while pending:
            node, half = pending.pop()
            found = self.nodes[node]
            if found is not None:
                resolution.append(node)
                if isinstance(found, ParentNode):
                    resolution += [node_of(LeafIndex(leaf)) for leaf in found.unmerged_leaves]
            elif half:
                first, last = node - 2 * half + 1, node + 2 * half - 1
                if any(self.nodes[first + 1 : last : 2]):
                    pending.append((NodeIndex(node + half), half >> 1))
                    pending.append((NodeIndex(node - half), half >> 1))
                else:  # no parent is left below: in a new group nearly all of the tree is so
                    resolution += [
                        NodeIndex(first + 2 * place)
                        for place, leaf in enumerate(self.nodes[first : last + 1 : 2])
                        if leaf is not None
                    ]
        return resolution

    def is_empty(self, node: NodeIndex) -> bool:
        """Whether the resolution of a subtree is empty: all its nodes, which lie side by side, are blank."""
        span = (1 << level(node)) - 1
        return not any(self.nodes[node - span : node + span + 1])

    def filtered_direct_path(self, index: LeafIndex) -> list[tuple[NodeIndex, NodeIndex]]:
        """The direct path without the nodes whose copath child has an empty resolution (§4.1.2).

        Returns:
            Pairs of a node and its child on the copath, from the bottom up.
        """
        place = node_of(index)
        steps = zip(direct_path(place, self.leaf_count), copath(place, self.leaf_count), strict=True)
        return [(above, beside) for above, beside in steps if not self.is_empty(beside)]

    def encryption_key(self, node: NodeIndex) -> bytes:
        """The HPKE public key of a node that is not blank."""
        found = self.nodes[node]
        if found is None:
            raise UsageError(f"node {node} is blank")
        return found.encryption_key


class MemberSignatureKeys(Mapping[LeafIndex, bytes]):
    """The signature keys of a tree's members, read from it when they are asked for.

    Args:
        tree: one that does not change any more.
    """

    def __init__(self, tree: RatchetTree) -> None:
        self._tree = tree

    def __getitem__(self, index: LeafIndex) -> bytes:
        leaf = self._tree.leaf(index)
        if leaf is None:
            raise KeyError(index)
        return leaf.signature_key

    def __iter__(self) -> Iterator[LeafIndex]:
        return (index for index, _ in self._tree.members())

    def __len__(self) -> int:
        return sum(1 for _ in self)


def new_tree(leaf: LeafNode) -> RatchetTree:
    """The tree of a group with one member."""
    return RatchetTree([leaf])


def tree_nodes(tree: RatchetTree) -> RatchetTreeNodes:
    """The `ratchet_tree` extension: nodes up to the last that is not blank (§12.4.3.3)."""
    last = max(place for place, found in enumerate(tree.nodes) if found is not None)
    return RatchetTreeNodes(
        nodes=tuple(
            None
            if found is None
            else Node(node_type=NodeType.leaf if isinstance(found, LeafNode) else NodeType.parent, node=found)
            for found in tree.nodes[: last + 1]
        )
    )


def encode_tree(tree: RatchetTree) -> bytes:
    """The data of the `ratchet_tree` extension."""
    return tree_nodes(tree).encode()


def decode_tree(data: bytes) -> RatchetTree:
    """The tree in a `ratchet_tree` extension; nothing in it is verified yet.

    Raises:
        DecodeError: it is malformed.
        ValidationError: code `malformed-tree`: it is empty, ends with a blank node, or has a leaf in a parent's place.
    """
    return tree_of(RatchetTreeNodes.decode(data).nodes)


def tree_of(nodes: Sequence[Node | None]) -> RatchetTree:
    """The tree of a `ratchet_tree` extension's nodes.

    Raises:
        ValidationError: code `malformed-tree`.
    """
    if not nodes or nodes[-1] is None:
        raise ValidationError("a tree that ends with a blank node", code="malformed-tree", section="12.4.3.3")
    leaf_count = 1
    while node_width(leaf_count) < len(nodes):
        leaf_count *= 2
    plain: list[AnyNode | None] = [None if node is None else node.node for node in nodes]
    for place, node in enumerate(plain):
        if node is not None and isinstance(node, LeafNode) != (place % 2 == 0):
            raise ValidationError(
                "a leaf in a parent's place, or the reverse", code="malformed-tree", section="12.4.3.3"
            )
    plain.extend([None] * (node_width(leaf_count) - len(plain)))
    return RatchetTree(plain)


def is_below(leaf: LeafIndex, node: NodeIndex) -> bool:
    """Whether a leaf is in the subtree of a node."""
    return is_in_subtree(node_of(leaf), node)
