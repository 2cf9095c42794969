"""What arrives: one message from the inbox after the other, each giving the next state and what to tell the application."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..crypto import CryptoProvider, crypto
from ..errors import EpochError, MLSError, RemoteError, UnsupportedError, ValidationError
from ..mls import (
    ApplicationMessage,
    CommitMessage,
    PrivateMessage,
    PublicMessage,
    RemovedMessage,
    Welcome,
    decode_message,
    find_key_package,
    join,
    receive,
)
from ..mls.framing import SenderType
from .events import EpochChanged, Event, GroupJoined, MessageReceived, MessageRefused, RemovedFromGroup
from .members import check_proposed, check_same_identities, unchanged, verified_members
from .state import ClientState, GroupState

# Messages that came too early are kept, up to so many, and so many octets, for a group and for all groups that we do
# not know.
MAX_HELD = 100
MAX_HELD_OCTETS = 4 << 20


@dataclass(frozen=True)
class Accepted:
    """What became of a message that arrived: the new state, and what to tell the application."""

    state: ClientState
    events: tuple[Event, ...]


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
        identities = verified_members(provider, received.group, unchanged(known, received.removed))
        check_same_identities(known.identities, identities, received)
        after = state.with_group(known.in_epoch(received.group, identities))
        changed = EpochChanged(
            group_id=group_id,
            epoch=received.group.epoch,
            added=tuple(identities[leaf].identity for leaf in received.added),
            removed=tuple(known.identities[leaf].identity for leaf, _ in received.removed),
        )
        return _accept_held(provider, after, group_id, [changed], now)
    check_proposed(provider, known, received)
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
