"""The public ratchet tree of a GroupInfo, node by node, to be drawn (§4, §12.4.3.3)."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ValidationError
from ..mls.credentials import BasicCredential
from ..mls.extensions import ExtensionType, find_extension
from ..mls.framing import MLSMessage
from ..mls.group_context import GroupContext
from ..mls.nodes import LeafNode, ParentNode
from ..mls.ratchet_tree import AnyNode, decode_tree
from ..mls.tree_math import NodeIndex, level, parent, root
from ..mls.welcome import GroupInfo

# MLSMessages begin with their version, 0x0001; a tree that begins so has no nodes, and more octets than that.
_MESSAGE = b"\x00\x01"


@dataclass(frozen=True)
class DescribedNode:
    """A node of the tree.

    Attributes:
        node_index: its place in the array of Appendix C.
        level: its height; leaves are at 0.
        parent: the node above; None for the root.
        blank: whether nobody is there.
        identity: what a leaf's basic credential says; empty where it is not UTF-8, or not basic.
        source: how a leaf came into the tree; None for the others.
        encryption_key: None where the node is blank.
        unmerged_leaves: leaf indices of the members that do not know a parent's private key.
    """

    node_index: NodeIndex
    level: int
    parent: NodeIndex | None
    blank: bool
    identity: str = ""
    source: str | None = None
    encryption_key: bytes | None = None
    unmerged_leaves: tuple[int, ...] = ()


@dataclass(frozen=True)
class DescribedTree:
    """A tree.

    Attributes:
        leaf_count: leaves, blank ones included: a power of two.
        nodes: in the order of their indices.
        group_context: of the GroupInfo that it came with; None if it came alone.
    """

    leaf_count: int
    root: NodeIndex
    nodes: tuple[DescribedNode, ...]
    group_context: GroupContext | None


def describe_tree(data: bytes) -> DescribedTree:
    """The tree in an encoded MLSMessage with a GroupInfo, or in the data of a `ratchet_tree` extension. Nothing of it is verified.

    Args:
        data: any octets.

    Raises:
        DecodeError: it is neither.
        ValidationError: code `malformed-tree`: its nodes are no tree; `no-ratchet-tree`: it is another message, or has none.
    """
    context = None
    if data.startswith(_MESSAGE):
        message = MLSMessage.decode(data).message
        found = (
            find_extension(message.extensions, ExtensionType.ratchet_tree)
            if isinstance(message, GroupInfo)
            else None
        )
        if found is None or not isinstance(message, GroupInfo):
            raise ValidationError(
                "a message without a ratchet tree", code="no-ratchet-tree", section="12.4.3.3"
            )
        data, context = found, message.group_context
    tree = decode_tree(data)
    nodes = tuple(
        _described(NodeIndex(index), node, tree.leaf_count) for index, node in enumerate(tree.nodes)
    )
    return DescribedTree(tree.leaf_count, tree.root, nodes, context)


def _described(index: NodeIndex, node: AnyNode | None, leaf_count: int) -> DescribedNode:
    above = None if index == root(leaf_count) else parent(index, leaf_count)
    match node:
        case LeafNode():
            return DescribedNode(
                index,
                level(index),
                above,
                blank=False,
                identity=_identity(node),
                source=node.leaf_node_source.name,
                encryption_key=node.encryption_key,
            )
        case ParentNode():
            return DescribedNode(
                index,
                level(index),
                above,
                blank=False,
                encryption_key=node.encryption_key,
                unmerged_leaves=tuple(node.unmerged_leaves),
            )
        case None:
            return DescribedNode(index, level(index), above, blank=True)


def _identity(leaf: LeafNode) -> str:
    credential = leaf.credential.credential
    return credential.identity.decode("utf-8", "replace") if isinstance(credential, BasicCredential) else ""
