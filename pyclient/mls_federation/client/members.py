"""Who is who in a group: the identities behind the leaves, each verified when it comes, and unchanged while it stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from ..crypto import CryptoProvider
from ..errors import ValidationError
from ..federation.identity import VerifiedIdentity, verify_leaf_identity
from ..federation.manifest import VerifiedBundle
from ..federation.membership import check_one_root_each, same_client
from ..mls import CommitMessage, Group, KeyPackage, ProposalMessage
from ..mls.nodes import LeafNode
from ..mls.proposals import Add, Update
from ..mls.tree_math import LeafIndex
from .state import GroupState


def verified_members(
    provider: CryptoProvider, group: Group, known: Mapping[LeafIndex, tuple[LeafNode, VerifiedIdentity]]
) -> dict[LeafIndex, VerifiedIdentity]:
    """The identities of all members; leaves that are in `known`, unchanged, are not verified again.

    Raises:
        ValidationError, VerificationError, DecodeError: a leaf's identity extension is missing or wrong;
            code `identity-conflict`: two members have one name, but are not devices of one identity.
    """
    identities = {}
    # Devices of one identity share the beginning of their lineage: each event is verified once.
    events: set[bytes] = set()
    for member in group.members:
        before = known.get(member.leaf_index)
        if before is not None and _same_signer(before[0], member.leaf_node):
            identities[member.leaf_index] = before[1]
        else:
            identities[member.leaf_index] = verify_leaf_identity(
                provider, group.cipher_suite, member.leaf_node, events
            )
    check_one_root_each(identities.values())
    return identities


def leaves_of(known: GroupState, identity: str, identity_key: bytes) -> list[LeafIndex]:
    """The leaves of one device in a group."""
    return [
        leaf
        for leaf, who in known.identities.items()
        if (who.identity, who.identity_key) == (identity, identity_key)
    ]


def not_in_group(known: GroupState, bundles: Iterable[VerifiedBundle]) -> list[VerifiedBundle]:
    """The bundles of clients that have no leaf in a group."""
    present = {(who.identity, who.identity_key) for who in known.identities.values()}
    return [bundle for bundle in bundles if (bundle.identity, bundle.identity_key) not in present]


def unchanged(
    known: GroupState, removed: Iterable[tuple[LeafIndex, LeafNode]]
) -> dict[LeafIndex, tuple[LeafNode, VerifiedIdentity]]:
    """What we know of the members whom a commit leaves where they are, for `verified_members`."""
    gone = {leaf for leaf, _ in removed}
    return {
        member.leaf_index: (member.leaf_node, known.identities[member.leaf_index])
        for member in known.group.members
        if member.leaf_index not in gone
    }


def _same_signer(one: LeafNode, other: LeafNode) -> bool:
    """Whether two leaves say the same of their member, so that what vouches for one vouches for the other."""
    return (
        one.signature_key == other.signature_key
        and one.credential == other.credential
        and one.extensions == other.extensions
    )


def check_same_identities(
    before: Mapping[LeafIndex, VerifiedIdentity],
    after: Mapping[LeafIndex, VerifiedIdentity],
    received: CommitMessage,
) -> None:
    """A member may change its keys, but not whose and which device it is."""
    for leaf in received.updated:
        if leaf not in received.added and not same_client(before[leaf], after[leaf]):
            raise ValidationError("a member has taken on another identity", code="identity-changed")


def check_proposed(provider: CryptoProvider, known: GroupState, received: ProposalMessage) -> None:
    """Whether we could commit a proposal. One that we keep and cannot commit would keep us from all commits."""
    suite = known.group.cipher_suite
    match received.proposal.proposal:
        case Add(key_package=package):
            added = [verify_leaf_identity(provider, suite, package.leaf_node)]
            for other in known.group.proposals.values():
                if isinstance(other.proposal.proposal, Add):
                    leaf = other.proposal.proposal.key_package.leaf_node
                    added.append(verify_leaf_identity(provider, suite, leaf))
            check_one_root_each([*known.identities.values(), *added])
        case Update(leaf_node=leaf):
            assert received.sender.index is not None  # only members' messages get here
            before = known.identities[LeafIndex(received.sender.index)]
            if not same_client(verify_leaf_identity(provider, suite, leaf), before):
                raise ValidationError("a member would take on another identity", code="identity-changed")


def are_of_others(provider: CryptoProvider, known: GroupState, packages: Iterable[KeyPackage]) -> bool:
    """Whether these are KeyPackages of all members but ourselves, and of nobody else."""
    others = {_who(who) for leaf, who in known.identities.items() if leaf != known.group.own_leaf}
    return others == {
        _who(verify_leaf_identity(provider, package.cipher_suite, package.leaf_node)) for package in packages
    }


def _who(member: VerifiedIdentity) -> tuple[str, bytes, bytes]:
    # A key may vouch for any name, so the name is not enough, nor is the key.
    return member.identity, member.identity_key, member.root_key


def names(some: Iterable[VerifiedIdentity], others: Iterable[VerifiedIdentity]) -> tuple[str, ...]:
    """The identities of those clients who are not among the others."""
    left = Counter((who.identity, who.identity_key) for who in others)
    names = []
    for who in some:
        client = (who.identity, who.identity_key)
        if left[client]:
            left[client] -= 1
        else:
            names.append(who.identity)
    return tuple(names)
