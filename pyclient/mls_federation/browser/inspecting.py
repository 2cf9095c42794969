"""Requests of the page that look into octets: what a message holds, and what a ratchet tree is like."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..federation.branches import GROUP_HISTORY, GroupHistory
from ..federation.group_agreement import GROUP_AGREEMENT, GroupAgreement
from ..federation.identity import FEDERATION_IDENTITY, FederationIdentity
from ..mls.group_context import GroupContext
from . import shapes
from .shapes import Shape, Uint64

if TYPE_CHECKING:  # loaded when something is looked into, and not at start-up
    from ..inspection import Described, DescribedNode

_FEDERATION_EXTENSIONS: Mapping[int, Any] = {
    FEDERATION_IDENTITY: FederationIdentity,
    GROUP_AGREEMENT: GroupAgreement,
    GROUP_HISTORY: GroupHistory,
}


async def decode(_bridge: object, *, data: bytes) -> Shape:
    """`DecodedPart`: an MLSMessage, field by field."""
    from ..inspection import describe_message  # noqa: PLC0415

    return _part(describe_message(data, more_extension_types=_FEDERATION_EXTENSIONS))


async def ratchet_tree(_bridge: object, *, data: bytes) -> Shape:
    """`RatchetTree`: that of a GroupInfo, or the data of the extension itself."""
    from ..inspection import describe_tree  # noqa: PLC0415

    tree = describe_tree(data)
    return {
        "leafCount": tree.leaf_count,
        "root": tree.root,
        "nodes": [_node(node) for node in tree.nodes],
        **({} if tree.group_context is None else {"groupContext": _group_context(tree.group_context)}),
    }


HANDLERS: dict[str, Callable[..., Awaitable[Any]]] = {"decode": decode, "ratchetTree": ratchet_tree}


def _part(part: Described) -> Shape:
    shape: Shape = {
        "name": part.name,
        "type": part.type,
        "kind": part.kind,
        "offset": part.offset,
        "size": part.size,
        "parts": [_part(one) for one in part.parts],
        "omitted": part.omitted,
    }
    if part.value is not None:
        shape["value"] = Uint64(part.value) if part.type == "uint64" else part.value
    if part.label is not None:
        shape["label"] = part.label
    if part.encrypted is not None:
        shape["encrypted"] = part.encrypted
    if part.fault is not None:
        shape["fault"] = shapes.fault(part.fault)
    return shape


def _node(node: DescribedNode) -> Shape:
    shape: Shape = {
        "nodeIndex": node.node_index,
        "level": node.level,
        "blank": node.blank,
        "identity": node.identity,
        "unmergedLeaves": list(node.unmerged_leaves),
    }
    if node.parent is not None:
        shape["parent"] = node.parent
    if node.source is not None:
        shape["source"] = node.source
    if node.encryption_key is not None:
        shape["encryptionKey"] = node.encryption_key
    return shape


def _group_context(context: GroupContext) -> Shape:
    return {
        "groupId": context.group_id,
        "epoch": Uint64(context.epoch),
        "cipherSuite": int(context.cipher_suite),
        "treeHash": context.tree_hash,
        "confirmedTranscriptHash": context.confirmed_transcript_hash,
    }
