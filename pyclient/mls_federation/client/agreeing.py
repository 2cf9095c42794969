"""What a group's members agree on: made when a group begins, renewed when somebody is added, checked by everybody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..crypto import CipherSuite, CryptoProvider
from ..errors import ValidationError
from ..federation.group_agreement import (
    GroupAgreement,
    OrderingRule,
    agreement_of,
    ordered_by_service,
    with_agreement,
)
from ..federation.identity import VerifiedIdentity, verify_leaf_identity
from ..federation.negotiation import Support, check_agreement, leaf_support, renewed_agreement
from ..mls import Group, KeyPackage, change_extensions
from ..mls.nodes import LeafNode
from ..mls.proposals import Add, Proposal
from ..mls.tree_math import LeafIndex


def support(provider: CryptoProvider, suite: CipherSuite, leaves: Iterable[LeafNode]) -> tuple[Support, ...]:
    """What leaves say that their clients support."""
    return tuple(leaf_support(leaf, verify_leaf_identity(provider, suite, leaf)) for leaf in leaves)


def check_agreed(
    group: Group, identities: Mapping[LeafIndex, VerifiedIdentity], before: GroupAgreement | None = None
) -> None:
    """Return if a group took nothing less than what its members could have had together.

    Args:
        identities: of all members, verified.
        before: the agreement of the epoch before, if we were there: no service takes over from members.

    Raises:
        ValidationError: code `no-agreement`, `ordering-changed`, or what `check_agreement` raises.
        DecodeError: the agreement is malformed.
    """
    agreement = agreement_of(group.context.extensions)
    clients = [leaf_support(member.leaf_node, identities[member.leaf_index]) for member in group.members]
    check_agreement(clients, agreement, group.cipher_suite)
    if (
        before is not None
        and before.ordering == OrderingRule.members
        and agreement.ordering != OrderingRule.members
    ):
        # Another commit of the same epoch may win over this one, and no service has ordered that.
        raise ValidationError(
            "a commit that puts a service in charge where the members order commits", code="ordering-changed"
        )


def renewal(
    provider: CryptoProvider,
    group: Group,
    identities: Mapping[LeafIndex, VerifiedIdentity],
    added: Sequence[KeyPackage],
    removed: Sequence[LeafIndex],
    ordered_by: tuple[str, bytes] | None,
) -> tuple[Proposal, ...]:
    """The proposal that a commit needs besides, if those whom it adds change what all can have, or another service is to order.

    Args:
        ordered_by: domain and signing key of that service.
    """
    if not added and ordered_by is None:
        return ()
    proposed = [
        received.proposal.proposal.key_package.leaf_node
        for received in group.proposals.values()
        if isinstance(received.proposal.proposal, Add)
    ]
    newcomers = [package.leaf_node for package in added]
    clients = [
        leaf_support(member.leaf_node, identities[member.leaf_index])
        for member in group.members
        if member.leaf_index not in removed
    ]
    clients += support(provider, group.cipher_suite, [*newcomers, *proposed])
    agreement = agreement_of(group.context.extensions)
    renewed = renewed_agreement(clients, agreement, group.cipher_suite)
    if ordered_by is not None:
        renewed = ordered_by_service(renewed, *ordered_by)
    if renewed == agreement:
        return ()
    return (change_extensions(with_agreement(group.context.extensions, renewed)),)
