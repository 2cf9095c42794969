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
from ..federation.binding import Boolean, KeySet
from ..federation.devices import DeviceEvent
from ..mls import decode_key_package, encode_key_package
from .account import Account, OwnKeySet
from .events import MessageReceived
from .group_codec import (
    STATE_VERSION,
    StoredAllPastIdentities,
    StoredGroupState,
    StoredIdentities,
    StoredPastEpochs,
    StoredPastGroup,
    StoredPastState,
    StoredTree,
    check_version,
    load_group,
    load_past_state,
    malformed,
    store_group,
    store_identities,
    store_past_epochs,
    store_past_group,
    store_past_identities,
    store_past_state,
    store_tree,
    text,
)
from .log_codec import StoredLogs, load_logs, store_logs
from .log_state import Logs
from .state import (
    ClientState,
    Fanout,
    GroupState,
    HandedOut,
    Outgoing,
    PastState,
    SFrameContexts,
    SpentKeyPackage,
)


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
    tree = 14
    past_epochs = 15
    identities = 16
    past_identities = 17
    past_group = 18
    past_members = 19
    handed_out = 20
    sframe_contexts = 21


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
    group_id: opaque
    used: uint64


class StoredHandedOut(Struct):
    """A key set that was handed out to us."""

    version: uint16
    user_init_key_id: opaque
    until: uint64


class StoredSFrameContexts(Struct):
    """How many SFrame contexts we have used in a group."""

    version: uint16
    group_id: opaque
    reserved: uint64


class StoredUntold(Struct):
    """A message of which the application may not know."""

    version: uint16
    group_id: opaque
    sender: opaque
    sender_leaf: uint32
    epoch: uint64
    data_secret: opaque
    number: uint64
    via: Vec[opaque]


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
    known = (*state.groups.values(), *state.departed.values())
    line = tuple(past for each in known for past in each.line)
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
        PartKind.past_state: line,
        PartKind.spent: state.spent,
        PartKind.fanout: (state.fanout,),
        PartKind.tree: tuple(each.group.tree for each in known),
        PartKind.past_epochs: tuple(each.group.past_epochs for each in known),
        PartKind.identities: tuple(each.identities for each in known),
        PartKind.past_identities: tuple(each.past_identities for each in known),
        PartKind.past_group: tuple(past.group for past in line),
        PartKind.past_members: tuple(past.identities for past in line),
        PartKind.handed_out: state.handed_out,
        PartKind.sframe_contexts: state.sframe_contexts,
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
            raise malformed(StoredState, "parts", f"{len(loaded[kind])} parts of the kind {kind.name}")
    known = _groups_of(provider, loaded)
    there = len(loaded[PartKind.group])
    groups, departed = (
        {each.group.group_id: each for each in some} for some in (known[:there], known[there:])
    )
    if len({*groups, *departed}) != len(known):
        raise malformed(StoredState, "parts", "a group stands there twice")
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
        handed_out=tuple(loaded[PartKind.handed_out]),
        sframe_contexts=tuple(loaded[PartKind.sframe_contexts]),
    )


def _groups_of(provider: CryptoProvider, loaded: Mapping[PartKind, Sequence[Any]]) -> list[GroupState]:
    """All groups, with those that we have departed from at the end."""
    heads = [*loaded[PartKind.group], *loaded[PartKind.departed]]
    of_groups = [loaded[kind] for kind in _OF_GROUPS]
    of_past_states = [loaded[kind] for kind in _OF_PAST_STATES]
    past_states = loaded[PartKind.past_state]
    if any(len(parts) != len(heads) for parts in of_groups) or any(
        len(parts) != len(past_states) for parts in of_past_states
    ):
        raise malformed(StoredState, "parts", "a group or a past state lacks a part, or has one too many")
    lines: dict[bytes, list[PastState]] = {}
    for parts in zip(past_states, *of_past_states, strict=True):
        past = load_past_state(provider, *parts)
        lines.setdefault(past.group.group_id, []).append(past)
    groups = []
    for parts in zip(heads, *of_groups, strict=True):
        known = load_group(provider, *parts)
        groups.append(replace(known, line=tuple(lines.pop(known.group.group_id, ()))))
    if lines:
        raise malformed(StoredState, "parts", "a past state is of no group")
    return groups


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
    check_version(StoredState, data)
    parts: dict[PartKind, list[bytes]] = {}
    for part in StoredState.decode(data).parts:
        parts.setdefault(part.kind, []).append(part.content_secret)
    return state_of(provider, parts)


def _load_part(provider: CryptoProvider, kind: PartKind, data: bytes) -> Any:
    struct, load = _LOAD[kind]
    check_version(struct, data)
    return load(provider, struct.decode(data))


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
        identity=text(stored.identity, StoredAccount, "identity"),
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


def _store_spent(spent: SpentKeyPackage) -> StoredSpent:
    package = StoredPackage(ref=spent.ref, key_package_secret=encode_key_package(spent.own))
    return StoredSpent(version=STATE_VERSION, package=package, group_id=spent.group_id, used=spent.used)


def _load_spent(_: CryptoProvider, stored: StoredSpent) -> SpentKeyPackage:
    own = decode_key_package(stored.package.key_package_secret)
    return SpentKeyPackage(stored.package.ref, own, stored.group_id, stored.used)


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
        domain=text(stored.domain, StoredOutgoing, "domain"),
        recipients=tuple(text(who, StoredOutgoing, "recipients") for who in stored.recipients),
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
        via=tuple(domain.encode("utf-8") for domain in message.via),
    )


def _load_untold(_: CryptoProvider, stored: StoredUntold) -> MessageReceived:
    return MessageReceived(
        group_id=stored.group_id,
        sender=text(stored.sender, StoredUntold, "sender"),
        sender_leaf=stored.sender_leaf,
        epoch=stored.epoch,
        data=stored.data_secret,
        number=stored.number,
        via=tuple(text(domain, StoredUntold, "via") for domain in stored.via),
    )


def _store_fanout(fanout: Fanout) -> StoredFanout:
    return StoredFanout(version=STATE_VERSION, by_server=Boolean(fanout is Fanout.server))


def _load_fanout(_: CryptoProvider, stored: StoredFanout) -> Fanout:
    return Fanout.server if stored.by_server is Boolean.true else Fanout.client


def _store_handed_out(one: HandedOut) -> StoredHandedOut:
    return StoredHandedOut(version=STATE_VERSION, user_init_key_id=one.user_init_key_id, until=one.until)


def _load_handed_out(_: CryptoProvider, stored: StoredHandedOut) -> HandedOut:
    return HandedOut(stored.user_init_key_id, stored.until)


def _store_sframe_contexts(one: SFrameContexts) -> StoredSFrameContexts:
    return StoredSFrameContexts(version=STATE_VERSION, group_id=one.group_id, reserved=one.reserved)


def _load_sframe_contexts(_: CryptoProvider, stored: StoredSFrameContexts) -> SFrameContexts:
    return SFrameContexts(stored.group_id, stored.reserved)


def _store_logs(logs: Logs) -> StoredLogs:
    return store_logs(STATE_VERSION, logs)


def _load_logs(_: CryptoProvider, stored: StoredLogs) -> Logs:
    return load_logs(stored)


def _as_stored(_: CryptoProvider, stored: Struct) -> Struct:
    """A part that is put together with others."""
    return stored


_STORE: Mapping[PartKind, Callable[[Any], Struct]] = {
    PartKind.account: _store_account,
    PartKind.cursor: _store_count,
    PartKind.key_set: _store_key_set,
    PartKind.group: store_group,
    PartKind.outgoing: _store_outgoing,
    PartKind.stray: _store_stray,
    PartKind.received: _store_count,
    PartKind.untold: _store_untold,
    PartKind.logs: _store_logs,
    PartKind.departed: store_group,
    PartKind.past_state: store_past_state,
    PartKind.spent: _store_spent,
    PartKind.fanout: _store_fanout,
    PartKind.tree: store_tree,
    PartKind.past_epochs: store_past_epochs,
    PartKind.identities: store_identities,
    PartKind.past_identities: store_past_identities,
    PartKind.past_group: store_past_group,
    PartKind.past_members: store_identities,
    PartKind.handed_out: _store_handed_out,
    PartKind.sframe_contexts: _store_sframe_contexts,
}
_LOAD: Mapping[PartKind, tuple[type[Struct], Callable[[CryptoProvider, Any], Any]]] = {
    PartKind.account: (StoredAccount, _load_account),
    PartKind.cursor: (StoredCount, _load_count),
    PartKind.key_set: (StoredKeySet, _load_key_set),
    PartKind.group: (StoredGroupState, _as_stored),
    PartKind.outgoing: (StoredOutgoing, _load_outgoing),
    PartKind.stray: (StoredStray, _load_stray),
    PartKind.received: (StoredCount, _load_count),
    PartKind.untold: (StoredUntold, _load_untold),
    PartKind.logs: (StoredLogs, _load_logs),
    PartKind.departed: (StoredGroupState, _as_stored),
    PartKind.past_state: (StoredPastState, _as_stored),
    PartKind.spent: (StoredSpent, _load_spent),
    PartKind.fanout: (StoredFanout, _load_fanout),
    PartKind.tree: (StoredTree, _as_stored),
    PartKind.past_epochs: (StoredPastEpochs, _as_stored),
    PartKind.identities: (StoredIdentities, _as_stored),
    PartKind.past_identities: (StoredAllPastIdentities, _as_stored),
    PartKind.past_group: (StoredPastGroup, _as_stored),
    PartKind.past_members: (StoredIdentities, _as_stored),
    PartKind.handed_out: (StoredHandedOut, _load_handed_out),
    PartKind.sframe_contexts: (StoredSFrameContexts, _load_sframe_contexts),
}
# One of each for each group, and one of each for each past state, in the same order.
_OF_GROUPS = (PartKind.tree, PartKind.past_epochs, PartKind.identities, PartKind.past_identities)
_OF_PAST_STATES = (PartKind.past_group, PartKind.past_members)
