"""What the members of a tree have in common, counted, so that §7.3's rules about all of them cost O(1) for each change."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

from ..errors import ValidationError
from .nodes import LeafNode, ParentNode

T = TypeVar("T", bound=Hashable)


class TreeIndex:
    """Counts over the nodes of one tree; a `RatchetTree` keeps it in step with them.

    Attributes:
        leaves: how many members there are.
        nodes: how many nodes are not blank.
        signature_keys: of the members, each with how many have it.
        encryption_keys: of all nodes, likewise.
        credential_types: that members use.
        supported_credentials: that members list among their capabilities.
    """

    __slots__ = (
        "credential_types",
        "encryption_keys",
        "leaves",
        "nodes",
        "signature_keys",
        "supported_credentials",
    )

    def __init__(self) -> None:
        self.leaves = 0
        self.nodes = 0
        self.signature_keys: dict[bytes, int] = {}
        self.encryption_keys: dict[bytes, int] = {}
        self.credential_types: dict[int, int] = {}
        self.supported_credentials: dict[int, int] = {}

    def copy(self) -> TreeIndex:
        """An index that can be changed without changing this one."""
        other = TreeIndex()
        other.leaves = self.leaves
        other.nodes = self.nodes
        other.signature_keys = self.signature_keys.copy()
        other.encryption_keys = self.encryption_keys.copy()
        other.credential_types = self.credential_types.copy()
        other.supported_credentials = self.supported_credentials.copy()
        return other

    def add(self, node: LeafNode | ParentNode) -> None:
        """Count a node that has come into the tree."""
        self._count(node, 1)

    def remove(self, node: LeafNode | ParentNode) -> None:
        """Count a node no longer that has left the tree."""
        self._count(node, -1)

    def check(self) -> None:
        """§7.3: keys are unique in the tree, and each member knows the credential types of all.

        Raises:
            ValidationError: code `duplicate-signature-key`, `duplicate-encryption-key`, `unsupported-credential`.
        """
        if len(self.signature_keys) != self.leaves:
            raise ValidationError(
                "two members have one signature key", code="duplicate-signature-key", section="7.3"
            )
        if len(self.encryption_keys) != self.nodes:
            raise ValidationError(
                "two nodes have one encryption key", code="duplicate-encryption-key", section="7.3"
            )
        if any(self.supported_credentials.get(used) != self.leaves for used in self.credential_types):
            raise ValidationError(
                "a member does not support a credential type that another uses",
                code="unsupported-credential",
                section="7.3",
            )

    def _count(self, node: LeafNode | ParentNode, change: int) -> None:
        self.nodes += change
        _tally(self.encryption_keys, node.encryption_key, change)
        if isinstance(node, LeafNode):
            self.leaves += change
            _tally(self.signature_keys, node.signature_key, change)
            _tally(self.credential_types, int(node.credential.credential_type), change)
            for supported in {int(kind) for kind in node.capabilities.credentials}:
                _tally(self.supported_credentials, supported, change)


def _tally(counts: dict[T, int], item: T, change: int) -> None:
    count = counts.get(item, 0) + change
    if count:
        counts[item] = count
    else:
        del counts[item]
