"""What a client tells its application."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ..errors import MLSError
from ..federation.log import SignedTreeHead
from ..federation.ordering import OrderingReceipt


@dataclass(frozen=True)
class GroupJoined:
    """A Welcome brought us into a group."""

    group_id: bytes


@dataclass(frozen=True)
class GroupReinitialized:
    """A group has begun anew as another, with another cipher suite. The old one is at its end."""

    old_group_id: bytes
    group_id: bytes


@dataclass(frozen=True)
class MessageReceived:
    """Data from a member of a group.

    Attributes:
        sender: the sender's identity, `name@domain`, for which its identity key vouches.
        epoch: in which it was sent.
        number: counts the messages that this client was told of: 1, 2, and so on. If the client ended before it was known that
            the application had been told, it is told again when the client runs next, with the same number.
        via: the domains whose delivery services it came through, as ours says; none if it had to wait here until it could be
            read.
    """

    group_id: bytes
    sender: str
    sender_leaf: int
    epoch: int
    data: bytes
    number: int = 0
    via: tuple[str, ...] = ()


@dataclass(frozen=True)
class EpochChanged:
    """A group is in a new epoch.

    Attributes:
        added: identities that came.
        removed: identities that went.
    """

    group_id: bytes
    epoch: int
    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True)
class RemovedFromGroup:
    """We are no longer a member; the group's state is gone."""

    group_id: bytes


@dataclass(frozen=True)
class ConnectionChanged:
    """The inbox's connection."""

    state: Literal["connecting", "connected", "disconnected"]


@dataclass(frozen=True)
class MessageRefused:
    """Something arrived that could not be accepted. Nothing was changed by it, and the client goes on.

    Attributes:
        error: why.
        group_id: for which group; None if it does not say, or could not be read.
        held: whether it is kept, and will be tried again when the group has come further.
    """

    error: MLSError
    group_id: bytes | None
    held: bool


@dataclass(frozen=True)
class OrderingFault:
    """A delivery service has deceived a group whose commits it orders.

    Attributes:
        error: code `ordering-equivocation`: it has accepted two commits for one epoch, so members may be in different groups.
        evidence: its two receipts, both signed.
    """

    group_id: bytes
    error: MLSError
    evidence: tuple[OrderingReceipt, OrderingReceipt]


@dataclass(frozen=True)
class ThreadLost:
    """A group has gone on without us, it seems, and what would bring us there cannot be had any more.

    If a service orders the group's commits, the client comes back by itself; messages that were sent meanwhile are lost to it. If
    the members do, messages came that nothing opens for as long as an epoch can be gone back to: one of the members should remove
    us and add us again.
    """

    group_id: bytes


@dataclass(frozen=True)
class DeliveryFailed:
    """A message that was on its way will not reach one of its recipients.

    Attributes:
        message_id: as in the `Delivery` that was reported when it was sent.
        identity: the recipient.
        reason: `expired`: it could not be delivered for too long; `refused` by a delivery service; or `unknown`: the
            recipient's service knows of nobody with that name.
    """

    message_id: bytes
    identity: str
    reason: str


@dataclass(frozen=True)
class MessageNotDelivered:
    """A message of ours was sent on a branch of the group that lost, and we are no longer there to send it again.

    Some members may have read it.
    """

    group_id: bytes
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class BackgroundFailure:
    """Something that the client does by itself failed, such as publishing new keys. It will try again."""

    error: MLSError


@dataclass(frozen=True)
class OwnDevicesChanged:
    """Our delivery service shows devices of our own identity that this client did not know of.

    Whoever did not admit them, or revoke those, has to ask who did.

    Attributes:
        admitted: client_ids of devices that may speak for us.
        revoked: client_ids of those that may no more.
    """

    admitted: tuple[bytes, ...]
    revoked: tuple[bytes, ...]


@dataclass(frozen=True)
class LogFault:
    """A delivery service was found to be dishonest, or somebody says so.

    If it is shown by two heads in `evidence` or by what it says of ourselves, nobody of this domain is added until
    `Client.clear_log_fault`. A head that the key we know has not signed is told (code `bad-tree-head`), and stops nothing.

    Attributes:
        error: `log-forked`, `log-rewritten`, `bad-tree-head`, or what is wrong with our own history.
        evidence: what it, or somebody, has signed.
    """

    domain: str
    error: MLSError
    evidence: tuple[SignedTreeHead, ...]


Event: TypeAlias = (
    GroupJoined
    | GroupReinitialized
    | MessageReceived
    | EpochChanged
    | RemovedFromGroup
    | ConnectionChanged
    | MessageRefused
    | DeliveryFailed
    | OwnDevicesChanged
    | LogFault
    | MessageNotDelivered
    | OrderingFault
    | ThreadLost
    | BackgroundFailure
)
