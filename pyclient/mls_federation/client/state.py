"""All that a client must not forget, as one value. Changing it gives another; nothing here reaches the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from ..errors import StateError
from ..federation.identity import VerifiedIdentity
from ..mls import Group, forget
from ..mls.tree_math import LeafIndex
from .account import Account, OwnKeySet
from .events import MessageReceived
from .log_state import Logs


@dataclass(frozen=True)
class GroupState:
    """A group, and who its members are.

    Attributes:
        group: the engine's state.
        identities: of all members; each was verified when it came.
        past_identities: of the epochs whose late messages can still be read, by epoch: a leaf may have another member now.
        held: messages of epochs that we have not reached, the oldest first.
        told: sizes of the logs whose heads the members have told each other of last, by domain.
    """

    group: Group
    identities: Mapping[LeafIndex, VerifiedIdentity]
    past_identities: Mapping[int, Mapping[LeafIndex, VerifiedIdentity]] = field(default_factory=dict)
    held: tuple[bytes, ...] = ()
    told: Mapping[str, int] = field(default_factory=dict)

    def in_epoch(self, group: Group, identities: Mapping[LeafIndex, VerifiedIdentity]) -> GroupState:
        """This group in a later epoch."""
        readable = {past.context.epoch for past in group.past_epochs}
        before = {**self.past_identities, self.group.epoch: self.identities}
        past = {epoch: who for epoch, who in before.items() if epoch in readable}
        return replace(self, group=group, identities=identities, past_identities=past)

    def forgetting(self, now: int) -> GroupState:
        """This group without the keys of past epochs whose time is over; itself if there are none."""
        group = forget(self.group, now)
        if group is self.group:
            return self
        readable = {past.context.epoch for past in group.past_epochs}
        past = {epoch: who for epoch, who in self.past_identities.items() if epoch in readable}
        return replace(self, group=group, past_identities=past)

    @property
    def domains(self) -> frozenset[str]:
        """The domains of all members."""
        return frozenset(who.domain for who in self.identities.values())

    @property
    def addresses(self) -> tuple[str, ...]:
        """The identities of all other members, each once. Our own is among them if we have other clients here."""
        own = self.group.own_leaf
        return tuple(dict.fromkeys(who.identity for leaf, who in self.identities.items() if leaf != own))


class Fanout(Enum):
    """Who brings a message to the delivery services of its recipients."""

    client = "client"
    """We do, each of them."""
    server = "server"
    """Our own delivery service, which is the only one that we talk to."""


@dataclass(frozen=True)
class Outgoing:
    """A message that a delivery service has not taken yet.

    Attributes:
        message_id: the same at every attempt, so that it is delivered once.
        domain: whose service is to take it.
        recipients: identities of that domain.
        message: an encoded MLSMessage.
    """

    message_id: bytes
    domain: str
    recipients: tuple[str, ...]
    message: bytes = field(repr=False)


@dataclass(frozen=True)
class ClientState:
    """A client.

    Attributes:
        account: who it is.
        cursor: the last message of the inbox that this state accounts for.
        key_sets: published, and not used up.
        groups: by group id.
        outbox: in the order in which it must go out.
        strays: messages of groups that we are not in, the oldest first: a Welcome may still come. And Welcomes back into
            groups whose messages up to our removal we do not have yet.
        received: how many application messages there have been.
        untold: those of which the application may not know: it was to be told of them when this state was stored.
        logs: what we know of the logs of delivery services.
        fanout: who brings our messages to their recipients' delivery services.
    """

    account: Account
    cursor: int = 0
    key_sets: tuple[OwnKeySet, ...] = field(default=(), repr=False)
    groups: Mapping[bytes, GroupState] = field(default_factory=dict, repr=False)
    outbox: tuple[Outgoing, ...] = field(default=(), repr=False)
    strays: tuple[bytes, ...] = field(default=(), repr=False)
    received: int = 0
    untold: tuple[MessageReceived, ...] = field(default=(), repr=False)
    logs: Logs = field(default_factory=Logs)
    fanout: Fanout = Fanout.client

    def group(self, group_id: bytes) -> GroupState:
        """A group that we are in.

        Raises:
            StateError: code `no-such-group`.
        """
        found = self.groups.get(group_id)
        if found is None:
            raise StateError("this client is in no group of that id", code="no-such-group")
        return found

    def with_group(self, after: GroupState) -> ClientState:
        """This state with a group as it is now."""
        return replace(self, groups={**self.groups, after.group.group_id: after})

    def forgetting(self, now: int) -> ClientState:
        """This state without the keys of past epochs whose time is over; itself if there are none.

        Args:
            now: Unix seconds.
        """
        kept = {group_id: known.forgetting(now) for group_id, known in self.groups.items()}
        if all(kept[group_id] is known for group_id, known in self.groups.items()):
            return self
        return replace(self, groups=kept)

    def without_group(self, group_id: bytes) -> ClientState:
        """This state without a group."""
        return replace(self, groups={name: kept for name, kept in self.groups.items() if name != group_id})
