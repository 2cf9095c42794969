"""Proposals: the changes that a commit can make (§12.1)."""

from __future__ import annotations

from typing import TypeAlias

from ..codec import Struct, Vec, opaque, select, uint32
from ..crypto import CipherSuite
from .extensions import Extension, ProposalType
from .key_package import KeyPackage
from .nodes import LeafNode, ProtocolVersion
from .psk import PreSharedKeyID


class Add(Struct):
    """Adds a client (§12.1.1)."""

    key_package: KeyPackage


class Update(Struct):
    """Replaces the sender's leaf (§12.1.2)."""

    leaf_node: LeafNode


class Remove(Struct):
    """Removes a member (§12.1.3)."""

    removed: uint32


class PreSharedKey(Struct):
    """Mixes a PSK into the key schedule (§12.1.4)."""

    psk: PreSharedKeyID


class ReInit(Struct):
    """Ends the group, to begin anew with other parameters (§12.1.5)."""

    group_id: opaque
    version: ProtocolVersion
    cipher_suite: CipherSuite
    extensions: Vec[Extension]


class ExternalInit(Struct):
    """The key with which a client joins by external commit (§12.1.6)."""

    kem_output: opaque


class GroupContextExtensions(Struct):
    """Replaces the group's extensions (§12.1.7)."""

    extensions: Vec[Extension]


AnyProposal: TypeAlias = Add | Update | Remove | PreSharedKey | ReInit | ExternalInit | GroupContextExtensions

PROPOSAL_STRUCTS: dict[ProposalType, type[Struct]] = {
    ProposalType.add: Add,
    ProposalType.update: Update,
    ProposalType.remove: Remove,
    ProposalType.psk: PreSharedKey,
    ProposalType.reinit: ReInit,
    ProposalType.external_init: ExternalInit,
    ProposalType.group_context_extensions: GroupContextExtensions,
}
_TYPE_OF = {struct: proposal_type for proposal_type, struct in PROPOSAL_STRUCTS.items()}


class Proposal(Struct):
    """A proposal of any type."""

    proposal_type: ProposalType
    proposal: AnyProposal = select("proposal_type", PROPOSAL_STRUCTS)


def proposal(body: AnyProposal) -> Proposal:
    """`body` with its type before it."""
    return Proposal(proposal_type=_TYPE_OF[type(body)], proposal=body)
