"""The commit and the update path that it carries (§12.4, §7.6)."""

from __future__ import annotations

from ..codec import ClosedEnum8, Opt, Struct, Vec, opaque, select
from ..crypto import HPKECiphertext
from .nodes import LeafNode
from .proposals import Proposal


class UpdatePathNode(Struct):
    """A new public key, and its path secret sealed for each node of the copath's resolution."""

    encryption_key: opaque
    encrypted_path_secret: Vec[HPKECiphertext]


class UpdatePath(Struct):
    """The committer's new leaf and filtered direct path."""

    leaf_node: LeafNode
    nodes: Vec[UpdatePathNode]


class ProposalOrRefType(ClosedEnum8):
    """Whether a proposal stands in the commit or was sent before."""

    proposal = 1
    reference = 2


class ProposalOrRef(Struct):
    """A proposal by value or by reference."""

    type: ProposalOrRefType
    proposal_or_ref: Proposal | bytes = select(
        "type", {ProposalOrRefType.proposal: Proposal, ProposalOrRefType.reference: opaque}
    )


class Commit(Struct, keep_octets=True):
    """Applies proposals and begins a new epoch."""

    proposals: Vec[ProposalOrRef]
    path: Opt[UpdatePath]


def by_value(proposal: Proposal) -> ProposalOrRef:
    """`proposal`, to stand in a commit."""
    return ProposalOrRef(type=ProposalOrRefType.proposal, proposal_or_ref=proposal)


def by_reference(proposal_ref: bytes) -> ProposalOrRef:
    """A proposal that was sent before, by its ProposalRef."""
    return ProposalOrRef(type=ProposalOrRefType.reference, proposal_or_ref=proposal_ref)
