"""What arrives: one message from the inbox after the other, each giving the next state and what to tell the application."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..crypto import CryptoProvider
from ..errors import EpochError, MLSError, RemoteError, UnsupportedError, ValidationError
from ..federation.envelope import Envelope
from ..federation.ordering import MissedCommits, OrderingReceipt, commit_hash
from ..mls import (
    ApplicationMessage,
    CommitMessage,
    PrivateMessage,
    PublicMessage,
    RemovedMessage,
    Welcome,
    decode_message,
    receive,
)
from ..mls.framing import ContentType, SenderType
from . import forks, ordered
from .agreeing import check_agreed
from .events import (
    BackgroundFailure,
    EpochChanged,
    Event,
    GroupJoined,
    GroupReinitialized,
    MessageNotDelivered,
    MessageReceived,
    MessageRefused,
    RemovedFromGroup,
    ThreadLost,
)
from .log_state import after_telling, hear
from .members import check_proposed, check_same_identities, names, unchanged, verified_members
from .payload import show
from .reinitialization import begin_anew, has_begun
from .session import put_out
from .state import ClientState, GroupState, PastState
from .welcoming import welcomed

# Messages that came too early are kept, up to so many, and so many octets, for a group and for all groups that we do
# not know.
MAX_HELD = 500
MAX_HELD_OCTETS = 4 << 20


@dataclass(frozen=True)
class Accepted:
    """What became of a message that arrived: the new state, and what to tell the application."""

    state: ClientState
    events: tuple[Event, ...]


def accept(
    provider: CryptoProvider, state: ClientState, sequence: int, envelope: bytes, now: int
) -> Accepted:
    """Take one message from the inbox. Whatever it is, the cursor moves on, and a refusal is an event.

    Keys of past epochs whose time is over are erased in all groups.

    Args:
        sequence: its place in the inbox.
        envelope: an encoded Envelope.
    """
    state = replace(state.forgetting(now), cursor=sequence)
    events: list[Event] = []
    for group_id, known in state.groups.items():
        if known.is_stuck(now):
            state = state.with_group(replace(known, held=(), stuck_since=None))
            events.append(ThreadLost(group_id))
    try:
        accepted = _accept(provider, state, envelope, now)
    except RemoteError as error:
        accepted = _refuse(state, envelope, error, now)
    return replace(accepted, events=(*events, *accepted.events))


def _accept(provider: CryptoProvider, state: ClientState, envelope: bytes, now: int) -> Accepted:
    opened = Envelope.decode(envelope)
    message = opened.message
    body = decode_message(message)
    if isinstance(body, Welcome):
        joined = welcomed(provider, state, body, opened.receipt, now)
        events = [] if joined.event is None else [joined.event]
        if joined.group_id in joined.state.departed:
            mine = [stray for stray in joined.state.strays if _group_id_of(stray) == joined.group_id]
            others = tuple(stray for stray in joined.state.strays if stray not in mine)
            return _try_again(provider, replace(joined.state, strays=others), mine, events, now)
        return _accept_held(provider, joined.state, joined.group_id, events, now)
    if not isinstance(body, PublicMessage | PrivateMessage):
        raise UnsupportedError(
            "a message that is neither a Welcome nor for a group", code="unexpected-message"
        )
    group_id = _group_id(body)
    known = state.groups.get(group_id)
    if known is not None and known.ordered_by_service and _is_commit(body):
        return _accept_ordered(provider, state, known, opened, now)
    if isinstance(body, PublicMessage) and body.content.sender.sender_type != SenderType.member:
        # Whoever sees our ciphertext pass can make a proposal from outside, and our next commit would carry it out;
        # and nothing says yet whom somebody who joins by itself may remove.
        raise ValidationError("a message from outside the group", code="sender-not-allowed", section="12.1.8")
    if _is_commit(body):
        before = state.departed.get(group_id) if known is None else known
        past = None if before is None else forks.past_state(before, _epoch(body))
        if before is not None and past is not None:
            return _accept_rival(provider, state, before, past, message, now)
    if known is None:
        raise EpochError("a message for a group that this client is not in", code="unknown-group")
    return _accept_group_message(provider, state, known, message, now)


def _accept_group_message(
    provider: CryptoProvider, state: ClientState, known: GroupState, message: bytes, now: int
) -> Accepted:
    received = receive(known.group, message, now=now, retention=known.retention)
    if isinstance(received, RemovedMessage):
        return _leave(provider, state, known, received, now)
    if isinstance(received, CommitMessage):
        return _enter(provider, state, known, received, now)
    if isinstance(received, ApplicationMessage):
        return _accept_data(provider, state, known, received, now)
    if known.ordered_by_service:
        raise ValidationError(
            "a proposal by itself, where a service orders commits: each has its proposals in itself",
            code="proposal-alone",
        )
    check_proposed(provider, known, received)
    return Accepted(state.with_group(replace(known, group=received.group)), ())


def _accept_data(
    provider: CryptoProvider, state: ClientState, known: GroupState, received: ApplicationMessage, now: int
) -> Accepted:
    present = received.epoch == known.group.epoch
    who = (known.identities if present else known.past_identities[received.epoch])[received.sender]
    after = replace(known, group=received.group).brought(received.epoch)
    after, opened = show(after, who.identity_key, received.data)
    after = forks.heard(after, _signature_key(known, received), received.epoch, now)
    if opened is None:
        return Accepted(state.with_group(after), ())
    domains = [member.domain for member in known.identities.values()]
    logs, counted, faults = hear(provider, state.logs, domains, opened.heads)
    after = replace(after, told=after_telling(after.told, counted))
    event = MessageReceived(
        group_id=known.group.group_id,
        sender=who.identity,
        sender_leaf=received.sender,
        epoch=received.epoch,
        data=opened.data,
    )
    return Accepted(replace(state, logs=logs).with_group(after), (event, *faults))


def _signature_key(known: GroupState, received: ApplicationMessage) -> bytes:
    """Of the sender, in the epoch that it sent in."""
    if received.epoch == known.group.epoch:
        return known.group.tree.member(received.sender).signature_key
    past = next(past for past in known.group.past_epochs if past.context.epoch == received.epoch)
    return past.signature_keys[received.sender]


# -- commits


def _accept_rival(
    provider: CryptoProvider,
    state: ClientState,
    before: GroupState,
    past: PastState,
    message: bytes,
    now: int,
) -> Accepted:
    """A commit in an epoch that another commit has ended already: the one with the smaller transcript hash wins.

    Args:
        before: the group; we may have been removed from it.
    """
    base = forks.restored(before, past)
    received = receive(base.group, message, now=now, retention=base.retention)
    if isinstance(received, RemovedMessage):
        successor = received.confirmed_transcript_hash
    else:
        assert isinstance(received, CommitMessage)  # its content type says so
        successor = received.group.context.confirmed_transcript_hash
    if successor == past.successor and isinstance(received, CommitMessage) and forks.has_gap(before, past):
        identities = verified_members(provider, received.group, unchanged(base, received.removed))
        after = forks.filled(before, received.group, identities, received.sender, now)
        return _accept_held(provider, state.with_group(after), after.group.group_id, [], now)
    if successor >= past.successor:
        return Accepted(state, ())
    if isinstance(received, RemovedMessage):
        return _leave(provider, state, base, received, now, left=past.left)
    return _enter(provider, state, base, received, now, left=past.left)


def _accept_ordered(
    provider: CryptoProvider, state: ClientState, known: GroupState, opened: Envelope, now: int
) -> Accepted:
    """A commit in a group whose commits a service orders."""
    message, receipt = opened.message, opened.receipt
    group_id = known.group.group_id
    found = ordered.fault(provider, known, receipt)
    if found is not None:
        return Accepted(state, (found,))
    if receipt is not None and known.receipts.get(receipt.epoch) == receipt:
        # It was applied when the service, or somebody else, gave it to us.
        return Accepted(state.with_group(known.brought(receipt.epoch)), ())
    try:
        receipt = ordered.check_receipt(provider, known, message, receipt)
    except EpochError as error:
        long_over = receipt is not None and receipt.epoch < min(known.receipts, default=0)
        if error.code == "wrong-epoch" and long_over:
            return Accepted(state, ())  # The service did order it, before all those whose receipts are kept.
        raise
    if known.pending is not None and commit_hash(known.pending.message) == receipt.commit_hash:
        return accept_receipt(provider, state, group_id, receipt, now)
    received = receive(known.group, message, now=now, retention=known.retention)
    if isinstance(received, RemovedMessage):
        ordered.check_confirmed(receipt, received.confirmed_transcript_hash)
        return _leave(provider, state, known, received, now)
    assert isinstance(received, CommitMessage)  # its content type says so
    ordered.check_confirmed(receipt, received.group.context.confirmed_transcript_hash)
    identities = verified_members(provider, received.group, unchanged(known, received.removed))
    if received.sender in received.added:
        ordered.check_external(known, received, identities)
    return _enter(provider, state, known, received, now, receipt=receipt)


def accept_receipt(
    provider: CryptoProvider, state: ClientState, group_id: bytes, receipt: OrderingReceipt, now: int
) -> Accepted:
    """Apply our own commit, which the service has ordered, and put it out for the others.

    Raises:
        ValidationError: code `bad-receipt`.
        VerificationError: code `bad-receipt`.
    """
    known = state.group(group_id)
    pending = known.pending
    assert pending is not None  # or there would be no receipt for it
    if pending.rejoins:
        ordered.check_rejoined(provider, pending, receipt)
    else:
        ordered.check_receipt(provider, known, pending.message, receipt)
    ordered.check_confirmed(receipt, pending.group.context.confirmed_transcript_hash)
    entered = ordered.applied(provider, known, pending)
    after = ordered.with_receipt(entered, replace(known, pending=None), receipt)
    addresses = after.addresses if pending.rejoins else known.addresses
    state = put_out(provider, state.with_group(after), addresses, pending.message, receipt)
    if pending.welcome is not None:
        newcomers = dict.fromkeys(after.identities[leaf].identity for leaf in pending.added)
        state = put_out(provider, state, newcomers, pending.welcome, receipt)
    event = EpochChanged(
        group_id=group_id,
        epoch=after.group.epoch,
        added=names(after.identities.values(), known.identities.values()),
        removed=names(known.identities.values(), after.identities.values()),
    )
    events: list[Event] = [event]
    if has_begun(after):
        state, began = _begun_anew(provider, state, group_id, now)
        events.append(began)
    return _accept_held(provider, state, group_id, events, now)


def _begun_anew(
    provider: CryptoProvider, state: ClientState, group_id: bytes, now: int
) -> tuple[ClientState, Event]:
    """Our commit has ended a group that is to begin anew: make the new one at once, so that nothing can come in between."""
    try:
        after = begin_anew(provider, state, group_id, now)
    except RemoteError as error:
        # Somebody's keys have expired while the service was not reached: it is tried again with fresh ones.
        return state, BackgroundFailure(error)
    return after, GroupReinitialized(group_id, after.group(group_id).successor)


def accept_missed(
    provider: CryptoProvider, state: ClientState, group_id: bytes, missed: MissedCommits, now: int
) -> Accepted:
    """Follow the commits that a service says we have missed.

    If we are still behind then, and there are none, they are gone, and so is our way on: `lost` is set.
    """
    events: list[Event] = []
    before = state.groups.get(group_id)
    for item in missed.commits:
        envelope = Envelope(message=item.commit, receipt=item.receipt).encode()
        accepted = accept(provider, state, state.cursor, envelope, now)
        state, events = _as_before(accepted.state, before), [*events, *accepted.events]
    known = state.groups.get(group_id)
    if known is not None and not missed.commits and known.group.epoch < missed.current_epoch:
        state = state.with_group(replace(known, lost=True, pending=None))
        events.append(ThreadLost(group_id))
    return Accepted(state, tuple(events))


def _as_before(state: ClientState, before: GroupState | None) -> ClientState:
    """The state with a group whose inbox has come no further: what was said between commits that were missed is still there."""
    known = None if before is None else state.groups.get(before.group.group_id)
    if known is None or before is None:
        return state
    return state.with_group(replace(known, inbox_epoch=before.inbox_epoch))


def _enter(
    provider: CryptoProvider,
    state: ClientState,
    known: GroupState,
    received: CommitMessage,
    now: int,
    left: int | None = None,
    receipt: OrderingReceipt | None = None,
) -> Accepted:
    """Go into the epoch that a commit of another begins."""
    identities = verified_members(provider, received.group, unchanged(known, received.removed))
    check_same_identities(known.identities, identities, received)
    added = [leaf for leaf in received.added if leaf != received.sender]
    if added or received.group.context.extensions != known.group.context.extensions:
        check_agreed(received.group, identities, known.agreement)
    after = forks.advance(known, received.group, identities, received.sender, now, left=left)
    after = after.brought(received.group.epoch)
    if receipt is not None:
        after = ordered.with_receipt(after, known, receipt)
    group_id = known.group.group_id
    was = state.groups.get(group_id)
    there = (known if was is None else was).identities.values()
    event: Event = EpochChanged(
        group_id=group_id,
        epoch=received.group.epoch,
        added=names(identities.values(), there),
        removed=names(there, identities.values()),
    )
    if was is None:
        event = GroupJoined(group_id)  # The commit that had removed us lost.
    return _accept_held(provider, state.with_group(after), group_id, [event], now)


def _leave(
    provider: CryptoProvider,
    state: ClientState,
    known: GroupState,
    received: RemovedMessage,
    now: int,
    left: int | None = None,
) -> Accepted:
    """Give a group up. A Welcome back into it may have come before, and messages after that."""
    group_id = known.group.group_id
    events: list[Event] = []
    if group_id in state.groups:
        events.append(RemovedFromGroup(group_id))
    events += [MessageNotDelivered(group_id, data.data) for data in known.again]
    welcomes = tuple(stray for stray in state.strays if _is_welcome(stray))
    strays = tuple(stray for stray in state.strays if stray not in welcomes)
    waiting = (*welcomes, *known.held)
    departed = replace(
        known,
        held=(),
        line=()
        if known.ordered_by_service
        else forks.leave(known, received.confirmed_transcript_hash, received.sender, now, left=left),
        history={**known.history, received.epoch: received.confirmed_transcript_hash},
        again=(),
    )
    state = replace(state.without_group(group_id), strays=strays).with_departed(departed)
    return _try_again(provider, state, waiting, events, now)


def _accept_held(
    provider: CryptoProvider, state: ClientState, group_id: bytes, events: list[Event], now: int
) -> Accepted:
    """Try again what came too early for this group, or was of a branch that we were not on."""
    known = state.group(group_id)
    ended = known.group.reinit is not None
    mine = [
        stray
        for stray in state.strays
        if _group_id_of(stray) == group_id or (ended and _is_welcome(stray))  # into what it begins anew as
    ]
    strays = tuple(stray for stray in state.strays if stray not in mine)
    state = replace(state.with_group(replace(known, held=())), strays=strays)
    accepted = _try_again(provider, state, (*known.held, *mine), events, now)
    after = accepted.state.groups.get(group_id)
    if after is not None and not after.held and after.stuck_since is not None:
        cleared = accepted.state.with_group(replace(after, stuck_since=None))
        return replace(accepted, state=cleared)
    return accepted


def _try_again(
    provider: CryptoProvider, state: ClientState, waiting: Iterable[bytes], events: list[Event], now: int
) -> Accepted:
    """Accept messages that came too early, after the `events` that made it their time."""
    for envelope in waiting:
        again = accept(provider, state, state.cursor, envelope, now)
        state = again.state
        # The application was told that a message waits when it came; not each time that it still does.
        events += [event for event in again.events if not (isinstance(event, MessageRefused) and event.held)]
    return Accepted(state, tuple(events))


def _refuse(state: ClientState, envelope: bytes, error: RemoteError, now: int) -> Accepted:
    """Nothing is changed by a message that is refused; one that came too early is kept."""
    if error.code == "own-message":
        return Accepted(state, ())  # Fanout to our own identity brings back what we sent.
    group_id = _group_id_of(envelope)
    known = None if group_id is None else state.groups.get(group_id)
    held = False
    if known is None:
        # A departed group's are of its members' branches: we may be added again.
        # And a Welcome whose PSK we lack may be into what a group of ours begins anew as, before we know that it ends.
        if error.code in ("unknown-group", "unknown-psk") or group_id in state.departed:
            state, held = replace(state, strays=_latest((*state.strays, envelope))), True
    elif error.code == "future-epoch" or _may_be_of_another_branch(known, envelope, error):
        waiting = (*known.held, envelope)
        if _latest(waiting) == waiting:
            since = now if known.stuck_since is None else known.stuck_since
            state, held = state.with_group(replace(known, held=waiting, stuck_since=since)), True
    return Accepted(state, (MessageRefused(error, group_id, held),))


def _may_be_of_another_branch(known: GroupState, envelope: bytes, error: RemoteError) -> bool:
    """Whether a message that none of our keys opens may be of an epoch that we do not know."""
    if known.ordered_by_service:
        return False
    body = _body_of(envelope)
    if not isinstance(body, PrivateMessage) or body.epoch < min(known.history):
        return False
    if error.code == "decryption-failed":
        return True
    # A newcomer lacks the states of the epochs before the one that it came by; and it may be welcomed to one of them.
    return known.open_until is not None and error.code in ("wrong-epoch", "epoch-forgotten")


def _latest(envelopes: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Those that are kept of messages that came too early."""
    kept = envelopes[-MAX_HELD:]
    while sum(map(len, kept)) > MAX_HELD_OCTETS:
        kept = kept[1:]
    return kept


def _is_commit(body: PublicMessage | PrivateMessage) -> bool:
    content = body.content if isinstance(body, PublicMessage) else body
    return content.content_type == ContentType.commit


def _epoch(body: PublicMessage | PrivateMessage) -> int:
    return body.content.epoch if isinstance(body, PublicMessage) else body.epoch


def _group_id(body: PublicMessage | PrivateMessage) -> bytes:
    return body.content.group_id if isinstance(body, PublicMessage) else body.group_id


def _body_of(envelope: bytes) -> object:
    """The message in an envelope; None if it cannot be read."""
    try:
        return decode_message(Envelope.decode(envelope).message)
    except MLSError:
        return None


def _is_welcome(envelope: bytes) -> bool:
    return isinstance(_body_of(envelope), Welcome)


def _group_id_of(envelope: bytes) -> bytes | None:
    """The group that a message says it is for; None if it cannot be read, or is for none."""
    body = _body_of(envelope)
    return _group_id(body) if isinstance(body, PublicMessage | PrivateMessage) else None
