"""A client's state as octets, to be kept between runs.

A state is made of parts: each key set, each group, each waiting message is one, so that a storage can write those that have
changed and no others (`parts_of`, `encode_part`, `state_of`). `encode_state` makes one string of octets of them all.

The encoding is ours, in the presentation language; each part begins with a version. It holds secrets in the clear: whoever
stores it encrypts it, or keeps others from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..codec import ClosedEnum8, Opt, Struct, Vec, opaque, uint16, uint32, uint64
from ..crypto import CryptoProvider, KeyPair, SignatureScheme
from ..errors import DecodeError, UnsupportedError
from ..federation.binding import Boolean, KeySet
from ..federation.branches import EpochHash
from ..federation.devices import DeviceEvent
from ..federation.identity import VerifiedIdentity
from ..federation.ordering import OrderingReceipt
from ..mls import KeyPackage, decode_group, decode_key_package, encode_group, encode_key_package
from ..mls.proposals import ReInit
from ..mls.tree_math import LeafIndex
from .account import Account, OwnKeySet
from .events import MessageReceived
from .log_codec import StoredLogs, StoredTold, load_logs, store_logs
from .log_state import Logs
from .state import (
    Anew,
    ClientState,
    Fanout,
    GroupState,
    Intent,
    Outgoing,
    OwnCommit,
    PastState,
    SentData,
    SpentKeyPackage,
)

# Of every part. A later version of the package loads all earlier ones.
STATE_VERSION = 1


class PartKind(ClosedEnum8):
    """What a part is. `account`, `cursor`, `received`, `logs` and `fanout` are there once, the others any number of times, in order."""

    account = 1
    cursor = 2
    key_set = 3
    group = 4
    outgoing = 5
    stray = 6
    received = 7
    untold = 8
    logs = 9
    departed = 10
    past_state = 11
    spent = 12
    fanout = 13


class StoredAccount(Struct):
    """Who the client is."""

    version: uint16
    identity: opaque
    client_id: opaque
    scheme: SignatureScheme
    identity_key: opaque
    identity_key_priv: opaque
    lineage: Vec[DeviceEvent]


class StoredCount(Struct):
    """How far the inbox was read; or how many messages there have been."""

    version: uint16
    count: uint64


class StoredPackage(Struct):
    """A KeyPackage of ours: its KeyPackageRef, and what `mls.encode_key_package` makes of it."""

    ref: opaque
    key_package_secret: opaque


class StoredKeySet(Struct):
    """A key set of ours."""

    version: uint16
    packages: Vec[StoredPackage]
    last_resort: Boolean
    unconfirmed: Opt[KeySet]


class StoredIdentity(Struct):
    """Who a leaf belongs to."""

    leaf_index: uint32
    identity: opaque
    identity_key: opaque
    root_key: opaque
    scheme: SignatureScheme
    domain: opaque
    versions: Vec[uint16]


class StoredPastIdentities(Struct):
    """Who the members were in an epoch that has ended."""

    epoch: uint64
    identities: Vec[StoredIdentity]


class StoredService(Struct):
    """A service that is to order commits."""

    domain: opaque
    signing_key: opaque


class StoredIntent(Struct):
    """What a commit of ours was for."""

    added: Vec[KeyPackage]
    removed: Vec[opaque]
    ordered_by: Opt[StoredService]
    begins: Opt[ReInit]


class StoredOwnCommit(Struct):
    """A commit of ours that a service is to order."""

    group_secret: opaque
    message: opaque
    welcome: Opt[opaque]
    added: Vec[uint32]
    removed: Vec[uint32]
    intent: StoredIntent
    rejoins: Boolean


class StoredAnew(Struct):
    """What a group is to begin anew as."""

    begins: ReInit
    members: Vec[KeyPackage]
    newcomers: Vec[KeyPackage]


class StoredSentData(Struct):
    """Application data that may have to be sent again."""

    payload_id: opaque
    data_secret: opaque
    epoch: uint64


class StoredPastState(Struct):
    """A state of a group that can be gone back to; the group's id is in `group_secret`."""

    version: uint16
    group_secret: opaque
    identities: Vec[StoredIdentity]
    successor: opaque
    intent: Opt[StoredIntent]
    left: uint64
    unheard: Vec[opaque]


class StoredGroupState(Struct):
    """A group: what `mls.encode_group` makes of it, and who its members are. Its past states are parts of their own."""

    version: uint16
    group_secret: opaque
    identities: Vec[StoredIdentity]
    past_identities: Vec[StoredPastIdentities]
    held: Vec[opaque]
    told: Vec[StoredTold]
    history: Vec[EpochHash]
    sent: Vec[StoredSentData]
    again: Vec[StoredSentData]
    intents: Vec[StoredIntent]
    shown: Vec[opaque]
    open_until: Opt[uint64]
    stuck_since: Opt[uint64]
    pending: Opt[StoredOwnCommit]
    registered: Boolean
    receipts: Vec[OrderingReceipt]
    lost: Boolean
    anew: Opt[StoredAnew]
    successor: opaque


class StoredFanout(Struct):
    """Who brings messages to their recipients' services: 0 the client, 1 its own service."""

    version: uint16
    by_server: Boolean


class StoredOutgoing(Struct):
    """A message that waits."""

    version: uint16
    message_id: opaque
    domain: opaque
    recipients: Vec[opaque]
    message: opaque


class StoredStray(Struct):
    """A message that came too early."""

    version: uint16
    message: opaque


class StoredSpent(Struct):
    """A KeyPackage of ours that was used lately."""

    version: uint16
    package: StoredPackage
    used: uint64


class StoredUntold(Struct):
    """A message of which the application may not know."""

    version: uint16
    group_id: opaque
    sender: opaque
    sender_leaf: uint32
    epoch: uint64
    data_secret: opaque
    number: uint64


class StoredPart(Struct):
    """A part of a state."""

    kind: PartKind
    content_secret: opaque


class StoredState(Struct):
    """A whole state."""

    version: uint16
    parts: Vec[StoredPart]


def parts_of(state: ClientState) -> Mapping[PartKind, Sequence[object]]:
    """The parts of a state, in order. What has not changed from one state to the next is the same object in both."""
    return {
        PartKind.account: (state.account,),
        PartKind.cursor: (state.cursor,),
        PartKind.key_set: state.key_sets,
        PartKind.group: tuple(state.groups.values()),
        PartKind.outgoing: state.outbox,
        PartKind.stray: state.strays,
        PartKind.received: (state.received,),
        PartKind.untold: state.untold,
        PartKind.logs: (state.logs,),
        PartKind.departed: tuple(state.departed.values()),
        PartKind.past_state: tuple(
            past for known in (*state.groups.values(), *state.departed.values()) for past in known.line
        ),
        PartKind.spent: state.spent,
        PartKind.fanout: (state.fanout,),
    }


def encode_part(kind: PartKind, part: Any) -> bytes:
    """One part of a state. Secret."""
    stored: Struct = _STORE[kind](part)
    return stored.encode()


def state_of(provider: CryptoProvider, parts: Mapping[PartKind, Sequence[bytes]]) -> ClientState:
    """The state whose parts `encode_part` of this or an earlier version made.

    Raises:
        UnsupportedError: code `unknown-state-version`: a later version made it; or a cipher suite is not known.
        DecodeError, ValidationError: it is no such state.
    """
    loaded = {kind: [_load_part(provider, kind, part) for part in parts.get(kind, ())] for kind in PartKind}
    for kind in (PartKind.account, PartKind.cursor, PartKind.received, PartKind.logs, PartKind.fanout):
        if len(loaded[kind]) != 1:
            raise _malformed(StoredState, "parts", f"{len(loaded[kind])} parts of the kind {kind.name}")
    lines: dict[bytes, list[PastState]] = {}
    for past in loaded[PartKind.past_state]:
        lines.setdefault(past.group.group_id, []).append(past)
    groups, departed = (
        {
            known.group.group_id: replace(known, line=tuple(lines.pop(known.group.group_id, ())))
            for known in loaded[kind]
        }
        for kind in (PartKind.group, PartKind.departed)
    )
    if len({*groups, *departed}) != len(loaded[PartKind.group]) + len(loaded[PartKind.departed]):
        raise _malformed(StoredState, "parts", "a group stands there twice")
    if lines:
        raise _malformed(StoredState, "parts", "a past state is of no group")
    return ClientState(
        account=loaded[PartKind.account][0],
        cursor=loaded[PartKind.cursor][0],
        key_sets=tuple(loaded[PartKind.key_set]),
        groups=groups,
        outbox=tuple(loaded[PartKind.outgoing]),
        strays=tuple(loaded[PartKind.stray]),
        received=loaded[PartKind.received][0],
        untold=tuple(loaded[PartKind.untold]),
        logs=loaded[PartKind.logs][0],
        departed=departed,
        spent=tuple(loaded[PartKind.spent]),
        fanout=loaded[PartKind.fanout][0],
    )


def encode_state(state: ClientState) -> bytes:
    """A whole state. Secret."""
    return StoredState(
        version=STATE_VERSION,
        parts=tuple(
            StoredPart(kind=kind, content_secret=encode_part(kind, part))
            for kind, parts in parts_of(state).items()
            for part in parts
        ),
    ).encode()


def decode_state(provider: CryptoProvider, data: bytes) -> ClientState:
    """The state that `encode_state` of this or an earlier version made `data` from.

    Raises:
        UnsupportedError, DecodeError, ValidationError: as `state_of`.
    """
    _check_version(StoredState, data)
    parts: dict[PartKind, list[bytes]] = {}
    for part in StoredState.decode(data).parts:
        parts.setdefault(part.kind, []).append(part.content_secret)
    return state_of(provider, parts)


def _load_part(provider: CryptoProvider, kind: PartKind, data: bytes) -> Any:
    struct, load = _LOAD[kind]
    _check_version(struct, data)
    return load(provider, struct.decode(data))


def _check_version(struct: type[Struct], data: bytes) -> None:
    if len(data) < 2:
        raise _malformed(struct, "version", "the input ends too early")
    version = int.from_bytes(data[:2], "big")
    if version != STATE_VERSION:
        raise UnsupportedError(
            f"a state of version {version}, which we do not know", code="unknown-state-version"
        )


def _malformed(struct: type[Struct], field: str, reason: str) -> DecodeError:
    return DecodeError(reason, struct=struct.__name__, field=field, offset=0)


def _text(data: bytes, struct: type[Struct], field: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed(struct, field, "it is not UTF-8") from None


def _store_account(account: Account) -> StoredAccount:
    return StoredAccount(
        version=STATE_VERSION,
        identity=account.identity.encode("utf-8"),
        client_id=account.client_id,
        scheme=account.scheme,
        identity_key=account.identity_key.public_key,
        identity_key_priv=account.identity_key.private_key,
        lineage=account.lineage,
    )


def _load_account(_: CryptoProvider, stored: StoredAccount) -> Account:
    return Account(
        identity=_text(stored.identity, StoredAccount, "identity"),
        client_id=stored.client_id,
        scheme=stored.scheme,
        identity_key=KeyPair(stored.identity_key_priv, stored.identity_key),
        lineage=stored.lineage,
    )


def _store_count(count: int) -> StoredCount:
    return StoredCount(version=STATE_VERSION, count=count)


def _load_count(_: CryptoProvider, stored: StoredCount) -> int:
    return stored.count


def _store_key_set(own: OwnKeySet) -> StoredKeySet:
    return StoredKeySet(
        version=STATE_VERSION,
        packages=tuple(
            StoredPackage(ref=ref, key_package_secret=encode_key_package(package))
            for ref, package in own.packages
        ),
        last_resort=Boolean(own.last_resort),
        unconfirmed=own.unconfirmed,
    )


def _load_key_set(_: CryptoProvider, stored: StoredKeySet) -> OwnKeySet:
    return OwnKeySet(
        packages=tuple((item.ref, decode_key_package(item.key_package_secret)) for item in stored.packages),
        last_resort=stored.last_resort is Boolean.true,
        unconfirmed=stored.unconfirmed,
    )


def _store_identities(identities: Mapping[LeafIndex, VerifiedIdentity]) -> tuple[StoredIdentity, ...]:
    return tuple(
        StoredIdentity(
            leaf_index=leaf,
            identity=who.identity.encode("utf-8"),
            identity_key=who.identity_key,
            root_key=who.root_key,
            scheme=who.scheme,
            domain=who.domain.encode("ascii"),
            versions=who.versions,
        )
        for leaf, who in identities.items()
    )


def _load_identities(stored: Sequence[StoredIdentity]) -> dict[LeafIndex, VerifiedIdentity]:
    return {
        LeafIndex(item.leaf_index): VerifiedIdentity(
            identity=_text(item.identity, StoredIdentity, "identity"),
            identity_key=item.identity_key,
            root_key=item.root_key,
            scheme=item.scheme,
            domain=_text(item.domain, StoredIdentity, "domain"),
            versions=item.versions,
        )
        for item in stored
    }


def _store_group(known: GroupState) -> StoredGroupState:
    return StoredGroupState(
        version=STATE_VERSION,
        group_secret=encode_group(known.group),
        identities=_store_identities(known.identities),
        past_identities=tuple(
            StoredPastIdentities(epoch=epoch, identities=_store_identities(identities))
            for epoch, identities in known.past_identities.items()
        ),
        held=known.held,
        told=tuple(
            StoredTold(domain=domain.encode("ascii"), tree_size=size) for domain, size in known.told.items()
        ),
        history=tuple(
            EpochHash(epoch=epoch, confirmed_transcript_hash=name) for epoch, name in known.history.items()
        ),
        sent=tuple(map(_store_sent, known.sent)),
        again=tuple(map(_store_sent, known.again)),
        intents=tuple(map(_store_intent, known.intents)),
        shown=known.shown,
        open_until=known.open_until,
        stuck_since=known.stuck_since,
        pending=None if known.pending is None else _store_own_commit(known.pending),
        registered=Boolean(known.registered),
        receipts=tuple(known.receipts.values()),
        lost=Boolean(known.lost),
        anew=None if known.anew is None else _store_anew(known.anew),
        successor=known.successor,
    )


def _load_group(provider: CryptoProvider, stored: StoredGroupState) -> GroupState:
    known = GroupState(
        group=decode_group(provider, stored.group_secret),
        identities=_load_identities(stored.identities),
        past_identities={past.epoch: _load_identities(past.identities) for past in stored.past_identities},
        held=stored.held,
        told={_text(told.domain, StoredTold, "domain"): told.tree_size for told in stored.told},
        history={item.epoch: item.confirmed_transcript_hash for item in stored.history},
        sent=tuple(map(_load_sent, stored.sent)),
        again=tuple(map(_load_sent, stored.again)),
        intents=tuple(map(_load_intent, stored.intents)),
        shown=stored.shown,
        open_until=stored.open_until,
        stuck_since=stored.stuck_since,
        pending=None if stored.pending is None else _load_own_commit(provider, stored.pending),
        registered=stored.registered is Boolean.true,
        receipts={receipt.epoch: receipt for receipt in stored.receipts},
        lost=stored.lost is Boolean.true,
        anew=None if stored.anew is None else _load_anew(stored.anew),
        successor=stored.successor,
    )
    if set(known.identities) != {member.leaf_index for member in known.group.members}:
        raise _malformed(StoredGroupState, "identities", "they are not those of the members")
    return known


def _store_sent(sent: SentData) -> StoredSentData:
    return StoredSentData(payload_id=sent.payload_id, data_secret=sent.data, epoch=sent.epoch)


def _load_sent(stored: StoredSentData) -> SentData:
    return SentData(stored.payload_id, stored.data_secret, stored.epoch)


def _store_intent(intent: Intent) -> StoredIntent:
    service = None
    if intent.ordered_by is not None:
        domain, signing_key = intent.ordered_by
        service = StoredService(domain=domain.encode("ascii"), signing_key=signing_key)
    return StoredIntent(added=intent.added, removed=intent.removed, ordered_by=service, begins=intent.begins)


def _load_intent(stored: StoredIntent) -> Intent:
    service = stored.ordered_by
    if service is None:
        return Intent(stored.added, stored.removed, begins=stored.begins)
    domain = _text(service.domain, StoredService, "domain")
    return Intent(stored.added, stored.removed, (domain, service.signing_key), stored.begins)


def _store_own_commit(pending: OwnCommit) -> StoredOwnCommit:
    return StoredOwnCommit(
        group_secret=encode_group(pending.group),
        message=pending.message,
        welcome=pending.welcome,
        added=pending.added,
        removed=pending.removed,
        intent=_store_intent(pending.intent),
        rejoins=Boolean(pending.rejoins),
    )


def _load_own_commit(provider: CryptoProvider, stored: StoredOwnCommit) -> OwnCommit:
    return OwnCommit(
        group=decode_group(provider, stored.group_secret),
        message=stored.message,
        welcome=stored.welcome,
        added=tuple(map(LeafIndex, stored.added)),
        removed=tuple(map(LeafIndex, stored.removed)),
        intent=_load_intent(stored.intent),
        rejoins=stored.rejoins is Boolean.true,
    )


def _store_anew(anew: Anew) -> StoredAnew:
    return StoredAnew(begins=anew.begins, members=anew.members, newcomers=anew.newcomers)


def _load_anew(stored: StoredAnew) -> Anew:
    return Anew(stored.begins, stored.members, stored.newcomers)


def _store_past_state(past: PastState) -> StoredPastState:
    return StoredPastState(
        version=STATE_VERSION,
        group_secret=encode_group(past.group),
        identities=_store_identities(past.identities),
        successor=past.successor,
        intent=None if past.intent is None else _store_intent(past.intent),
        left=past.left,
        unheard=tuple(sorted(past.unheard)),
    )


def _load_past_state(provider: CryptoProvider, stored: StoredPastState) -> PastState:
    return PastState(
        group=decode_group(provider, stored.group_secret),
        identities=_load_identities(stored.identities),
        successor=stored.successor,
        intent=None if stored.intent is None else _load_intent(stored.intent),
        left=stored.left,
        unheard=frozenset(stored.unheard),
    )


def _store_spent(spent: SpentKeyPackage) -> StoredSpent:
    package = StoredPackage(ref=spent.ref, key_package_secret=encode_key_package(spent.own))
    return StoredSpent(version=STATE_VERSION, package=package, used=spent.used)


def _load_spent(_: CryptoProvider, stored: StoredSpent) -> SpentKeyPackage:
    own = decode_key_package(stored.package.key_package_secret)
    return SpentKeyPackage(stored.package.ref, own, stored.used)


def _store_outgoing(outgoing: Outgoing) -> StoredOutgoing:
    return StoredOutgoing(
        version=STATE_VERSION,
        message_id=outgoing.message_id,
        domain=outgoing.domain.encode("ascii"),
        recipients=tuple(identity.encode("utf-8") for identity in outgoing.recipients),
        message=outgoing.message,
    )


def _load_outgoing(_: CryptoProvider, stored: StoredOutgoing) -> Outgoing:
    return Outgoing(
        message_id=stored.message_id,
        domain=_text(stored.domain, StoredOutgoing, "domain"),
        recipients=tuple(_text(who, StoredOutgoing, "recipients") for who in stored.recipients),
        message=stored.message,
    )


def _store_stray(message: bytes) -> StoredStray:
    return StoredStray(version=STATE_VERSION, message=message)


def _load_stray(_: CryptoProvider, stored: StoredStray) -> bytes:
    return stored.message


def _store_untold(message: MessageReceived) -> StoredUntold:
    return StoredUntold(
        version=STATE_VERSION,
        group_id=message.group_id,
        sender=message.sender.encode("utf-8"),
        sender_leaf=message.sender_leaf,
        epoch=message.epoch,
        data_secret=message.data,
        number=message.number,
    )


def _load_untold(_: CryptoProvider, stored: StoredUntold) -> MessageReceived:
    return MessageReceived(
        group_id=stored.group_id,
        sender=_text(stored.sender, StoredUntold, "sender"),
        sender_leaf=stored.sender_leaf,
        epoch=stored.epoch,
        data=stored.data_secret,
        number=stored.number,
    )


def _store_fanout(fanout: Fanout) -> StoredFanout:
    return StoredFanout(version=STATE_VERSION, by_server=Boolean(fanout is Fanout.server))


def _load_fanout(_: CryptoProvider, stored: StoredFanout) -> Fanout:
    return Fanout.server if stored.by_server is Boolean.true else Fanout.client


def _store_logs(logs: Logs) -> StoredLogs:
    return store_logs(STATE_VERSION, logs)


def _load_logs(_: CryptoProvider, stored: StoredLogs) -> Logs:
    return load_logs(stored)


_STORE: Mapping[PartKind, Callable[[Any], Struct]] = {
    PartKind.account: _store_account,
    PartKind.cursor: _store_count,
    PartKind.key_set: _store_key_set,
    PartKind.group: _store_group,
    PartKind.outgoing: _store_outgoing,
    PartKind.stray: _store_stray,
    PartKind.received: _store_count,
    PartKind.untold: _store_untold,
    PartKind.logs: _store_logs,
    PartKind.departed: _store_group,
    PartKind.past_state: _store_past_state,
    PartKind.spent: _store_spent,
    PartKind.fanout: _store_fanout,
}
_LOAD: Mapping[PartKind, tuple[type[Struct], Callable[[CryptoProvider, Any], Any]]] = {
    PartKind.account: (StoredAccount, _load_account),
    PartKind.cursor: (StoredCount, _load_count),
    PartKind.key_set: (StoredKeySet, _load_key_set),
    PartKind.group: (StoredGroupState, _load_group),
    PartKind.outgoing: (StoredOutgoing, _load_outgoing),
    PartKind.stray: (StoredStray, _load_stray),
    PartKind.received: (StoredCount, _load_count),
    PartKind.untold: (StoredUntold, _load_untold),
    PartKind.logs: (StoredLogs, _load_logs),
    PartKind.departed: (StoredGroupState, _load_group),
    PartKind.past_state: (StoredPastState, _load_past_state),
    PartKind.spent: (StoredSpent, _load_spent),
    PartKind.fanout: (StoredFanout, _load_fanout),
}
