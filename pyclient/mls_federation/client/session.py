"""The session: what a client does with its groups, from one state to the next. No I/O, no waiting.

Commands give the new state with what is to be sent in its outbox; a message that arrives gives the new state and events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..crypto import CipherSuite, CryptoProvider, crypto
from ..errors import EpochError, MLSError, RemoteError, StateError, UnsupportedError, ValidationError
from ..federation.binding import MESSAGE_ID_SIZE, domain_of
from ..federation.identity import VerifiedIdentity, verify_leaf_identity
from ..federation.manifest import VerifiedBundle
from ..mls import (
    ApplicationMessage,
    CommitMessage,
    Group,
    PendingCommit,
    PrivateMessage,
    ProposalMessage,
    PublicMessage,
    RemovedMessage,
    Welcome,
    add,
    commit,
    create_group,
    decode_message,
    find_key_package,
    join,
    receive,
    remove,
    send_application_data,
)
from ..mls.framing import SenderType
from ..mls.nodes import LeafNode
from ..mls.proposals import Add, Update
from ..mls.tree_math import LeafIndex
from .account import new_key_package
from .events import EpochChanged, Event, GroupJoined, MessageReceived, MessageRefused, RemovedFromGroup
from .state import ClientState, GroupState, Outgoing

# Messages that came too early are kept, up to so many, and so many octets, for a group and for all groups that we do
# not know.
MAX_HELD = 100
MAX_HELD_OCTETS = 4 << 20
GROUP_ID_SIZE = 16


@dataclass(frozen=True)
class Accepted:
    """What became of a message that arrived: the new state, and what to tell the application."""

    state: ClientState
    events: tuple[Event, ...]


# -- commands


def start_group(
    provider: CryptoProvider, state: ClientState, suite: CipherSuite, group_id: bytes | None, now: int
) -> tuple[ClientState, bytes]:
    """A new group of ourselves alone.

    Returns:
        The state, and the group's id.

    Raises:
        StateError: code `group-exists`.
        UnsupportedError: the provider lacks the suite.
    """
    if group_id is None:
        group_id = provider.random(GROUP_ID_SIZE)
    if group_id in state.groups:
        raise StateError("this client is in a group of that id already", code="group-exists")
    if not provider.supports(suite):
        raise UnsupportedError(
            f"cipher suite {suite.name} is not available here", code="unsupported-cipher-suite"
        )
    own = new_key_package(provider, state.account, suite, now)
    group = create_group(crypto(provider, suite), group_id, own)
    return state.with_group(GroupState(group, verified_members(provider, group, {}))), group_id


def send(
    provider: CryptoProvider, state: ClientState, group_id: bytes, data: bytes
) -> tuple[ClientState, int]:
    """Encrypt data for a group; returns the state, with the message in its outbox, and the epoch."""
    known = state.group(group_id)
    sent = send_application_data(known.group, data)
    after = state.with_group(replace(known, group=sent.group))
    return put_out(provider, after, known.addresses, sent.message), known.group.epoch


def add_clients(
    provider: CryptoProvider, state: ClientState, group_id: bytes, bundles: Sequence[VerifiedBundle], now: int
) -> ClientState:
    """Add all clients that `bundles` stand for, in one commit.

    Raises:
        StateError: code `already-member`.
        ValidationError: code `wrong-cipher-suite`: a bundle is not of the group's suite; or a rule of the engine.
    """
    known = state.group(group_id)
    present = {who.identity for who in known.identities.values()}
    for bundle in bundles:
        if bundle.identity in present:
            raise StateError(f"{bundle.identity} is in this group already", code="already-member")
        if bundle.chosen != known.group.cipher_suite:
            raise ValidationError(
                f"the keys of {bundle.identity} are not for the group's cipher suite",
                code="wrong-cipher-suite",
            )
    pending = commit(known.group, [add(bundle.key_package) for bundle in bundles], now=now)
    return _begin_epoch(provider, state, known, pending)


def remove_identity(
    provider: CryptoProvider, state: ClientState, group_id: bytes, identity: str, now: int
) -> ClientState:
    """Remove all clients of an identity.

    Raises:
        StateError: code `not-a-member`: it has none here; `cannot-remove-self`: it is our own.
    """
    known = state.group(group_id)
    leaves = [leaf for leaf, who in known.identities.items() if who.identity == identity]
    if not leaves:
        raise StateError(f"{identity} is not in this group", code="not-a-member")
    if known.group.own_leaf in leaves:
        raise StateError(
            "nobody can commit their own removal; ask another member to remove you", code="cannot-remove-self"
        )
    pending = commit(known.group, [remove(leaf) for leaf in leaves], now=now)
    return _begin_epoch(provider, state, known, pending)


def renew_keys(provider: CryptoProvider, state: ClientState, group_id: bytes, now: int) -> ClientState:
    """Begin a new epoch with fresh keys of ours, which heals a group whose keys were stolen."""
    known = state.group(group_id)
    return _begin_epoch(provider, state, known, commit(known.group, now=now))


def put_out(
    provider: CryptoProvider, state: ClientState, recipients: Iterable[str], message: bytes
) -> ClientState:
    """Put a message into the outbox, once for each domain (client fanout)."""
    by_domain: dict[str, list[str]] = {}
    for identity in recipients:
        by_domain.setdefault(domain_of(identity), []).append(identity)
    message_id = provider.random(MESSAGE_ID_SIZE)
    added = tuple(
        Outgoing(message_id, domain, tuple(identities), message) for domain, identities in by_domain.items()
    )
    return replace(state, outbox=state.outbox + added)


def _begin_epoch(
    provider: CryptoProvider, state: ClientState, known: GroupState, pending: PendingCommit
) -> ClientState:
    """Enter the epoch of our own commit, tell the old members, and welcome the new ones."""
    identities = verified_members(provider, pending.group, _kept(known, pending.removed))
    after = state.with_group(known.in_epoch(pending.group, identities))
    after = put_out(provider, after, known.addresses, pending.message)
    if pending.welcome is not None:
        newcomers = dict.fromkeys(identities[leaf].identity for leaf in pending.added)
        after = put_out(provider, after, newcomers, pending.welcome)
    return after


# -- what arrives


def accept(provider: CryptoProvider, state: ClientState, sequence: int, message: bytes, now: int) -> Accepted:
    """Take one message from the inbox. Whatever it is, the cursor moves on, and a refusal is an event.

    Keys of past epochs whose time is over are erased in all groups.

    Args:
        sequence: its place in the inbox.
        message: an encoded MLSMessage.
    """
    state = replace(state.forgetting(now), cursor=sequence)
    try:
        accepted = _accept(provider, state, message, now)
    except RemoteError as error:
        return _refuse(state, message, error)
    return accepted


def _accept(provider: CryptoProvider, state: ClientState, message: bytes, now: int) -> Accepted:
    body = decode_message(message)
    if isinstance(body, Welcome):
        return _accept_welcome(provider, state, body, now)
    if not isinstance(body, PublicMessage | PrivateMessage):
        raise UnsupportedError(
            "a message that is neither a Welcome nor for a group", code="unexpected-message"
        )
    known = state.groups.get(_group_id(body))
    if known is None:
        raise EpochError("a message for a group that this client is not in", code="unknown-group")
    if isinstance(body, PublicMessage) and body.content.sender.sender_type != SenderType.member:
        # Whoever sees our ciphertext pass can make a proposal from outside, and our next commit would carry it out;
        # and nothing says yet whom somebody who joins by itself may remove.
        raise ValidationError("a message from outside the group", code="sender-not-allowed", section="12.1.8")
    return _accept_group_message(provider, state, known, message, now)


def _accept_welcome(provider: CryptoProvider, state: ClientState, welcome: Welcome, now: int) -> Accepted:
    candidates = [package for key_set in state.key_sets for package in key_set.packages]
    own = find_key_package(welcome, candidates)
    if own is None:
        raise ValidationError(
            "a Welcome for keys that this client does not have, or has used already", code="not-for-us"
        )
    group = join(crypto(provider, welcome.cipher_suite), welcome, own, now=now)
    present = state.groups.get(group.group_id)
    if present is not None:
        # Anybody can make a Welcome into a group of that id, so ours is not given up for it. But it may be that we were
        # removed and added again by two people, and the removal is still on its way.
        if group.epoch > present.group.epoch:
            raise EpochError(
                "a Welcome into a later epoch of a group that this client is in", code="early-welcome"
            )
        raise ValidationError("a Welcome into a group that this client is in", code="already-joined")
    joined = GroupState(group, verified_members(provider, group, {}))
    # The other packages of the set were handed out with this one, so none of them will be used.
    unused = tuple(
        key_set
        for key_set in state.key_sets
        if key_set.last_resort or all(package is not own for _, package in key_set.packages)
    )
    after = replace(state, key_sets=unused).with_group(joined)
    events: list[Event] = [GroupJoined(group.group_id)]
    return _accept_held(provider, after, group.group_id, events, now)


def _accept_group_message(
    provider: CryptoProvider, state: ClientState, known: GroupState, message: bytes, now: int
) -> Accepted:
    group_id = known.group.group_id
    received = receive(known.group, message, now=now)
    if isinstance(received, RemovedMessage):
        return _leave(provider, state, known, now)
    if isinstance(received, ApplicationMessage):
        event = MessageReceived(
            group_id=group_id,
            sender=_sender(known, received),
            sender_leaf=received.sender,
            epoch=received.epoch,
            data=received.data,
        )
        return Accepted(state.with_group(replace(known, group=received.group)), (event,))
    if isinstance(received, CommitMessage):
        identities = verified_members(provider, received.group, _kept(known, received.removed))
        _check_same_identities(known.identities, identities, received)
        after = state.with_group(known.in_epoch(received.group, identities))
        changed = EpochChanged(
            group_id=group_id,
            epoch=received.group.epoch,
            added=tuple(identities[leaf].identity for leaf in received.added),
            removed=tuple(known.identities[leaf].identity for leaf, _ in received.removed),
        )
        return _accept_held(provider, after, group_id, [changed], now)
    _check_proposed(provider, known, received)
    return Accepted(state.with_group(replace(known, group=received.group)), ())


def _accept_held(
    provider: CryptoProvider, state: ClientState, group_id: bytes, events: list[Event], now: int
) -> Accepted:
    """Try again what came too early for this group."""
    known = state.group(group_id)
    mine = [stray for stray in state.strays if _group_id_of(stray) == group_id]
    strays = tuple(stray for stray in state.strays if stray not in mine)
    state = replace(state.with_group(replace(known, held=())), strays=strays)
    return _try_again(provider, state, (*known.held, *mine), events, now)


def _leave(provider: CryptoProvider, state: ClientState, known: GroupState, now: int) -> Accepted:
    """Give a group up. A Welcome back into it may have come before, and messages after that."""
    welcomes = tuple(stray for stray in state.strays if isinstance(decode_message(stray), Welcome))
    strays = tuple(stray for stray in state.strays if stray not in welcomes)
    if welcomes:
        strays = _latest((*strays, *known.held))
    group_id = known.group.group_id
    state = replace(state.without_group(group_id), strays=strays)
    return _try_again(provider, state, welcomes, [RemovedFromGroup(group_id)], now)


def _try_again(
    provider: CryptoProvider, state: ClientState, waiting: Iterable[bytes], events: list[Event], now: int
) -> Accepted:
    """Accept messages that came too early, after the `events` that made it their time."""
    for message in waiting:
        again = accept(provider, state, state.cursor, message, now)
        state = again.state
        # The application was told that a message waits when it came; not each time that it still does.
        events += [event for event in again.events if not (isinstance(event, MessageRefused) and event.held)]
    return Accepted(state, tuple(events))


def _refuse(state: ClientState, message: bytes, error: RemoteError) -> Accepted:
    """Nothing is changed by a message that is refused; one that came too early is kept."""
    if error.code == "own-message":
        return Accepted(state, ())  # Fanout to our own identity brings back what we sent.
    group_id = _group_id_of(message)
    held = False
    if error.code in ("unknown-group", "early-welcome"):
        state, held = replace(state, strays=_latest((*state.strays, message))), True
    elif error.code == "future-epoch" and group_id is not None:
        known = state.group(group_id)
        waiting = (*known.held, message)
        if _latest(waiting) == waiting:
            state, held = state.with_group(replace(known, held=waiting)), True
    return Accepted(state, (MessageRefused(error, group_id, held),))


def _latest(messages: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Those that are kept of messages that came too early."""
    kept = messages[-MAX_HELD:]
    while sum(map(len, kept)) > MAX_HELD_OCTETS:
        kept = kept[1:]
    return kept


# -- who is who


def verified_members(
    provider: CryptoProvider, group: Group, known: Mapping[LeafIndex, tuple[LeafNode, VerifiedIdentity]]
) -> dict[LeafIndex, VerifiedIdentity]:
    """The identities of all members; leaves that are in `known`, unchanged, are not verified again.

    Raises:
        ValidationError, VerificationError, DecodeError: a leaf's identity extension is missing or wrong;
            code `identity-conflict`: two members have one name, but not one identity key.
    """
    identities = {}
    for member in group.members:
        before = known.get(member.leaf_index)
        if before is not None and _same_signer(before[0], member.leaf_node):
            identities[member.leaf_index] = before[1]
        else:
            identities[member.leaf_index] = verify_leaf_identity(
                provider, group.cipher_suite, member.leaf_node
            )
    _check_one_key_each(identities.values())
    return identities


def _check_one_key_each(members: Iterable[VerifiedIdentity]) -> None:
    """A delivery service gives a name to one identity key, which all clients of that name share."""
    keys: dict[str, bytes] = {}
    for who in members:
        if keys.setdefault(who.identity, who.identity_key) != who.identity_key:
            raise ValidationError(
                f"two members say that they are {who.identity}, with different identity keys",
                code="identity-conflict",
            )


def _kept(
    known: GroupState, removed: Iterable[tuple[LeafIndex, LeafNode]]
) -> dict[LeafIndex, tuple[LeafNode, VerifiedIdentity]]:
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


def _check_same_identities(
    before: Mapping[LeafIndex, VerifiedIdentity],
    after: Mapping[LeafIndex, VerifiedIdentity],
    received: CommitMessage,
) -> None:
    """A member may change its keys, but not who it is."""
    for leaf in received.updated:
        if leaf not in received.added and _who(before[leaf]) != _who(after[leaf]):
            raise ValidationError("a member has taken on another identity", code="identity-changed")


def _check_proposed(provider: CryptoProvider, known: GroupState, received: ProposalMessage) -> None:
    """Whether we could commit a proposal. One that we keep and cannot commit would keep us from all commits."""
    suite = known.group.cipher_suite
    match received.proposal.proposal:
        case Add(key_package=package):
            added = [verify_leaf_identity(provider, suite, package.leaf_node)]
            for other in known.group.proposals.values():
                if isinstance(other.proposal.proposal, Add):
                    leaf = other.proposal.proposal.key_package.leaf_node
                    added.append(verify_leaf_identity(provider, suite, leaf))
            _check_one_key_each([*known.identities.values(), *added])
        case Update(leaf_node=leaf):
            assert received.sender.index is not None  # only members' messages get here
            before = known.identities[LeafIndex(received.sender.index)]
            if _who(verify_leaf_identity(provider, suite, leaf)) != _who(before):
                raise ValidationError("a member would take on another identity", code="identity-changed")


def _who(member: VerifiedIdentity) -> tuple[str, bytes]:
    # A key may vouch for any name, so neither of the two is enough.
    return member.identity, member.identity_key


def _sender(known: GroupState, received: ApplicationMessage) -> str:
    """Who sent a message, by the members of the epoch that it was sent in."""
    now = received.epoch == known.group.epoch
    return (known.identities if now else known.past_identities[received.epoch])[received.sender].identity


def _group_id(body: PublicMessage | PrivateMessage) -> bytes:
    return body.content.group_id if isinstance(body, PublicMessage) else body.group_id


def _group_id_of(message: bytes) -> bytes | None:
    """The group that a message says it is for; None if it cannot be read, or is for none."""
    try:
        body = decode_message(message)
    except MLSError:
        return None
    return _group_id(body) if isinstance(body, PublicMessage | PrivateMessage) else None
