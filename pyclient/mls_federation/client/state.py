"""All that a client must not forget, as one value. Changing it gives another; nothing here reaches the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from ..errors import StateError
from ..federation.group_agreement import GroupAgreement, OrderingRule, agreement_of
from ..federation.identity import VerifiedIdentity
from ..federation.ordering import OrderingReceipt
from ..mls import Group, KeyPackage, OwnKeyPackage, Retention, forget
from ..mls.proposals import ReInit
from ..mls.tree_math import LeafIndex
from .account import Account, OwnKeySet
from .events import MessageReceived
from .log_state import Logs

# Past epochs whose late application messages can be read. Between services that are away for a while, a sender may be
# many commits behind those who receive from it; docs/adr/0011 has what it costs.
RETENTION = Retention(epochs=32, seconds=3 * 24 * 3600)
# Our own commits, and those that we ask a service for, take us further than our inbox has: what waits there was sent in epochs that
# are over for us. Those count only once the inbox has come to them; but no more than so many are kept (ADR 0011).
MOST_PAST_EPOCHS = 256
# Past epochs that can be gone back to, where no service orders the commits: so many, and for so many seconds (ADR 0011).
FORK_EPOCHS = 16
FORK_SECONDS = 4 * 3600
# Epochs whose transcript hashes are remembered and told to newcomers, so that two Welcomes can be compared.
HISTORY_EPOCHS = 2 * FORK_EPOCHS


@dataclass(frozen=True)
class Intent:
    """What a commit of ours was for, so that it can be made again if another one takes its place.

    Attributes:
        added: clients who are to be members.
        removed: signature keys of the leaves that are to go.
        ordered_by: domain and signing key of the service that is to order the commits from then on; None: who does now.
        begins: what the group is to begin anew as; then nobody is added or removed.
    """

    added: tuple[KeyPackage, ...] = ()
    removed: tuple[bytes, ...] = ()
    ordered_by: tuple[str, bytes] | None = None
    begins: ReInit | None = None


@dataclass(frozen=True)
class Anew:
    """What a group is to begin anew as, until we have made the new group (`reinitialization`).

    Attributes:
        begins: the proposal that ends the group.
        members: a fresh KeyPackage of each other member.
        newcomers: of those who are to be added then.
    """

    begins: ReInit
    members: tuple[KeyPackage, ...]
    newcomers: tuple[KeyPackage, ...]


@dataclass(frozen=True)
class SentData:
    """Application data of ours, while it may turn out that the epoch that it was sent in has no future.

    Attributes:
        epoch: in which it was sent last.
    """

    payload_id: bytes
    data: bytes = field(repr=False)
    epoch: int


@dataclass(frozen=True)
class PastState:
    """A group as it was when an epoch ended, whole, so that another commit can take the place of the one that ended it.

    Attributes:
        successor: the confirmed transcript hash of the epoch that followed.
        intent: what the commit that ended it was for, if it was ours.
        left: when it ended, by our clock.
        unheard: signature keys of the members who have not been heard in a later epoch: each may have made another commit.
    """

    group: Group
    identities: Mapping[LeafIndex, VerifiedIdentity]
    successor: bytes
    intent: Intent | None
    left: int
    unheard: frozenset[bytes]


@dataclass(frozen=True)
class OwnCommit:
    """A commit of ours that a service is to order, until it has; or another one has taken its place.

    Attributes:
        group: the group in the epoch that it begins.
        message: the commit, an encoded MLSMessage.
        welcome: for those whom it adds; None if it adds nobody. An encoded MLSMessage.
        added: their leaves.
        removed: the leaves that it blanks.
        intent: what it is for.
        rejoins: whether we come back by it: the present state of the group is not one that it was made from.
    """

    group: Group
    message: bytes = field(repr=False)
    welcome: bytes | None = field(repr=False)
    added: tuple[LeafIndex, ...]
    removed: tuple[LeafIndex, ...]
    intent: Intent
    rejoins: bool = False


@dataclass(frozen=True)
class GroupState:
    """A group, and who its members are.

    Attributes:
        group: the engine's state.
        identities: of all members; each was verified when it came.
        past_identities: of the epochs whose late messages can still be read, by epoch: a leaf may have another member now.
        told: sizes of the logs whose heads the members have told each other of last, by domain.
        held: envelopes with messages that cannot be read yet, the oldest first.
        line: past states that can be gone back to, the oldest first.
        history: confirmed transcript hashes by epoch, of the latest epochs and this one.
        sent: what we sent in epochs that may turn out to have no future.
        again: what is to be sent again.
        intents: what is to be committed again.
        shown: ids of the payloads that were shown last.
        open_until: until when the Welcome that we came by may turn out to be of a branch that lost; None if it cannot.
        anew: what we want to begin it anew as.
        successor: the id of the group that it has become; empty if it has not.
        inbox_epoch: the latest epoch of which our inbox has brought something. What waits there may still be of this one.
        stuck_since: since when something is held that no epoch of ours can read; None if there is nothing.
        pending: our commit that the service is to order.
        registered: whether the service that orders knows of the group.
        receipts: of the latest epochs, by the epoch that each begins.
        lost: whether the commits that would bring us to where the group is cannot be had any more.
    """

    group: Group
    identities: Mapping[LeafIndex, VerifiedIdentity]
    past_identities: Mapping[int, Mapping[LeafIndex, VerifiedIdentity]] = field(default_factory=dict)
    told: Mapping[str, int] = field(default_factory=dict)
    held: tuple[bytes, ...] = field(default=(), repr=False)
    line: tuple[PastState, ...] = field(default=(), repr=False)
    history: Mapping[int, bytes] = field(default_factory=dict)
    sent: tuple[SentData, ...] = ()
    again: tuple[SentData, ...] = ()
    intents: tuple[Intent, ...] = field(default=(), repr=False)
    shown: tuple[bytes, ...] = ()
    open_until: int | None = None
    stuck_since: int | None = None
    pending: OwnCommit | None = field(default=None, repr=False)
    registered: bool = False
    receipts: Mapping[int, OrderingReceipt] = field(default_factory=dict, repr=False)
    lost: bool = False
    anew: Anew | None = field(default=None, repr=False)
    successor: bytes = b""
    inbox_epoch: int = 0

    @property
    def retention(self) -> Retention:
        """Which past epochs are kept: those that the inbox has not come to besides the usual number."""
        ahead = max(0, self.group.epoch - self.inbox_epoch)
        return replace(RETENTION, epochs=min(RETENTION.epochs + ahead, MOST_PAST_EPOCHS))

    def brought(self, epoch: int) -> GroupState:
        """This group once the inbox has brought something of an epoch."""
        return self if epoch <= self.inbox_epoch else replace(self, inbox_epoch=epoch)

    @property
    def agreement(self) -> GroupAgreement:
        """What the members have agreed on."""
        return agreement_of(self.group.context.extensions)

    @property
    def ordered_by_service(self) -> bool:
        """Whether a delivery service says in which order commits come."""
        return self.agreement.ordering == OrderingRule.service

    def is_stuck(self, now: int) -> bool:
        """Whether what is held must be of a branch that we cannot get to any more, where members order commits."""
        return (
            self.stuck_since is not None
            and now - self.stuck_since > FORK_SECONDS
            and not self.ordered_by_service
        )

    def in_epoch(self, group: Group, identities: Mapping[LeafIndex, VerifiedIdentity]) -> GroupState:
        """This group in the next epoch."""
        readable = {past.context.epoch for past in group.past_epochs}
        before = {**self.past_identities, self.group.epoch: self.identities}
        past = {epoch: who for epoch, who in before.items() if epoch in readable}
        known = {**self.history, group.epoch: group.context.confirmed_transcript_hash}
        history = {epoch: known[epoch] for epoch in sorted(known)[-HISTORY_EPOCHS:]}
        return replace(self, group=group, identities=identities, past_identities=past, history=history)

    def forgetting(self, now: int) -> GroupState:
        """This group without the keys of past epochs whose time is over; itself if there are none."""
        group = forget(self.group, now, self.retention)
        line = self.line[-FORK_EPOCHS:]
        if any(now - past.left > FORK_SECONDS for past in line):
            line = tuple(past for past in line if now - past.left <= FORK_SECONDS)
        opened = self.open_until is not None and now > self.open_until
        if group is self.group and len(line) == len(self.line) and not opened and (line or not self.sent):
            return self
        readable = {past.context.epoch for past in group.past_epochs}
        past = {epoch: who for epoch, who in self.past_identities.items() if epoch in readable}
        return replace(self, group=group, past_identities=past, line=line).without_settled(now)

    def without_settled(self, now: int) -> GroupState:
        """This group without what was sent in epochs that cannot be gone back behind any more."""
        if self.open_until is not None and now <= self.open_until:
            return self
        first = self.line[0].group.epoch if self.line else self.group.epoch
        return replace(self, open_until=None, sent=tuple(data for data in self.sent if data.epoch > first))

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
        message: an encoded Envelope.
    """

    message_id: bytes
    domain: str
    recipients: tuple[str, ...]
    message: bytes = field(repr=False)


@dataclass(frozen=True)
class SpentKeyPackage:
    """A KeyPackage that a Welcome has used, kept for a second Welcome into another branch of the same group.

    Attributes:
        ref: its KeyPackageRef.
        group_id: of that group.
        used: when.
    """

    ref: bytes
    own: OwnKeyPackage = field(repr=False)
    group_id: bytes
    used: int


@dataclass(frozen=True)
class HandedOut:
    """A key set for one use that a delivery service has handed out to us.

    Attributes:
        until: when it expires, Unix seconds.
    """

    user_init_key_id: bytes
    until: int


@dataclass(frozen=True)
class SFrameContexts:
    """How many contexts of SFrame key ids (RFC 9605 §5.2) we have used in a group: each for one run of frames, from counter 0.

    It stays when we leave the group: an epoch that is gone back to has the same keys.

    Attributes:
        reserved: those below it are used.
    """

    group_id: bytes
    reserved: int


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
        spent: KeyPackages that were used lately.
        departed: groups that a commit has removed us from, while another one may still take its place.
        received: how many application messages there have been.
        untold: those of which the application may not know: it was to be told of them when this state was stored.
        logs: what we know of the logs of delivery services.
        fanout: who brings our messages to their recipients' delivery services.
        handed_out: key sets of others that we have got, the latest last.
        sframe_contexts: of each group that we have sent frames in.
    """

    account: Account
    cursor: int = 0
    key_sets: tuple[OwnKeySet, ...] = field(default=(), repr=False)
    groups: Mapping[bytes, GroupState] = field(default_factory=dict, repr=False)
    outbox: tuple[Outgoing, ...] = field(default=(), repr=False)
    strays: tuple[bytes, ...] = field(default=(), repr=False)
    spent: tuple[SpentKeyPackage, ...] = field(default=(), repr=False)
    departed: Mapping[bytes, GroupState] = field(default_factory=dict, repr=False)
    received: int = 0
    untold: tuple[MessageReceived, ...] = field(default=(), repr=False)
    logs: Logs = field(default_factory=Logs)
    fanout: Fanout = Fanout.client
    handed_out: tuple[HandedOut, ...] = ()
    sframe_contexts: tuple[SFrameContexts, ...] = ()

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
        group_id = after.group.group_id
        departed = self.departed
        if group_id in departed:
            departed = {name: kept for name, kept in departed.items() if name != group_id}
        return replace(self, groups={**self.groups, group_id: after}, departed=departed)

    def with_departed(self, known: GroupState) -> ClientState:
        """This state with a group that we were removed from, if that may still be undone."""
        departed = {name: kept for name, kept in self.departed.items() if name != known.group.group_id}
        if known.line:
            departed[known.group.group_id] = known
        return replace(self, departed=departed)

    def forgetting(self, now: int) -> ClientState:
        """This state without the keys of past epochs, and of key sets, whose time is over; itself if there are none.

        Args:
            now: Unix seconds.
        """
        key_sets = self.key_sets
        if not all(own.is_of_use(now) for own in key_sets):
            key_sets = tuple(own for own in key_sets if own.is_of_use(now))
        groups = _forgetting(self.groups, now)
        departed = _forgetting(self.departed, now)
        if not all(known.line for known in departed.values()):
            departed = {group_id: known for group_id, known in departed.items() if known.line}
        spent = self.spent
        if any(now - package.used > FORK_SECONDS for package in spent):
            spent = tuple(package for package in spent if now - package.used <= FORK_SECONDS)
        if (
            groups is self.groups
            and departed is self.departed
            and spent is self.spent
            and key_sets is self.key_sets
        ):
            return self
        return replace(self, groups=groups, departed=departed, spent=spent, key_sets=key_sets)

    def reserving_sframe_context(self, group_id: bytes) -> tuple[ClientState, int]:
        """This state with one more SFrame context used in a group, and that context."""
        used = {each.group_id: each for each in self.sframe_contexts}
        context = used[group_id].reserved if group_id in used else 0
        used[group_id] = SFrameContexts(group_id, context + 1)
        return replace(self, sframe_contexts=tuple(used.values())), context

    def without_group(self, group_id: bytes) -> ClientState:
        """This state without a group."""
        return replace(self, groups={name: kept for name, kept in self.groups.items() if name != group_id})


def _forgetting(groups: Mapping[bytes, GroupState], now: int) -> Mapping[bytes, GroupState]:
    """The groups without what their time is over for; the same if there is nothing."""
    kept = {group_id: known.forgetting(now) for group_id, known in groups.items()}
    return groups if all(kept[group_id] is known for group_id, known in groups.items()) else kept
