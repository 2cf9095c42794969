"""What the client's calls return."""

from __future__ import annotations

from dataclasses import dataclass

from ..crypto import CipherSuite
from ..federation.manifest import VerifiedBundle
from ..federation.safety_number import safety_number
from .state import GroupState


@dataclass(frozen=True)
class MemberDetails:
    """A member, for showing.

    Attributes:
        identity: `name@domain`; its identity key vouches for the leaf.
        is_self: whether this is our own leaf.
        signature_key: of the leaf.
        identity_key: of the identity.
    """

    identity: str
    leaf_index: int
    is_self: bool
    signature_key: bytes
    identity_key: bytes


@dataclass(frozen=True)
class GroupDetails:
    """A group in its present epoch, for showing.

    Attributes:
        safety_number: equal for all members who agree on the group's state; people compare it aloud.
    """

    group_id: bytes
    epoch: int
    cipher_suite: CipherSuite
    safety_number: str
    members: tuple[MemberDetails, ...]


@dataclass(frozen=True)
class WithoutKeys:
    """A client that cannot be added now.

    Attributes:
        client_id: which client of its identity.
        offered: the suites for which it has keys; empty if it has none at all, and will have some when it is online.
    """

    client_id: bytes
    offered: tuple[CipherSuite, ...]


@dataclass(frozen=True)
class FetchedKeys:
    """What an identity's delivery service had of it.

    Attributes:
        bundles: the keys of clients, at least one.
        without: the other clients.
    """

    bundles: tuple[VerifiedBundle, ...]
    without: tuple[WithoutKeys, ...] = ()


@dataclass(frozen=True)
class Delivery:
    """What became of a message for one recipient.

    Attributes:
        status: `accepted` by its delivery service; `relayed`: our own service has it, and will bring it there; `unknown` there;
            `refused` for good; or it waits in the outbox and is tried again: `pending`, since the service was not
            reached, `inbox_full` or `queue_full`.
        message_id: as in `DeliveryFailed`, which may tell later what became of it.
        via: the domains whose services it went through, or will; empty unless it was accepted or relayed.
    """

    identity: str
    status: str
    message_id: bytes = b""
    via: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sent:
    """A message that was encrypted, and how far it has come."""

    epoch: int
    deliveries: tuple[Delivery, ...]


def details(known: GroupState) -> GroupDetails:
    """A group as it is now."""
    group = known.group
    members = tuple(
        MemberDetails(
            identity=known.identities[member.leaf_index].identity,
            leaf_index=member.leaf_index,
            is_self=member.leaf_index == group.own_leaf,
            signature_key=member.leaf_node.signature_key,
            identity_key=known.identities[member.leaf_index].identity_key,
        )
        for member in group.members
    )
    return GroupDetails(
        group_id=group.group_id,
        epoch=group.epoch,
        cipher_suite=group.cipher_suite,
        safety_number=safety_number(group.epoch_authenticator),
        members=members,
    )
