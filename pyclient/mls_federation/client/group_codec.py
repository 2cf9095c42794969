"""Groups as octets: those parts of a client's stored state that belong to a group (`state_codec`).

What is large and changes only from epoch to epoch is in parts of its own, so that a message costs no more than it changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..codec import Opt, Struct, Vec, opaque, uint16, uint32, uint64
from ..crypto import CryptoProvider, SignatureScheme
from ..errors import DecodeError, UnsupportedError
from ..federation.binding import Boolean
from ..federation.branches import EpochHash
from ..federation.identity import VerifiedIdentity
from ..federation.ordering import OrderingReceipt
from ..mls import (
    Group,
    KeyPackage,
    decode_group,
    decode_group_parts,
    encode_group,
    encode_group_head,
    encode_past_epochs,
)
from ..mls.group import PastEpoch
from ..mls.proposals import ReInit
from ..mls.ratchet_tree import RatchetTree, encode_tree
from ..mls.tree_math import LeafIndex
from .log_codec import StoredTold
from .state import Anew, GroupState, Intent, OwnCommit, PastState, SentData

# Of every part. A later version of the package loads all earlier ones.
STATE_VERSION = 1


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


class StoredIdentities(Struct):
    """Who the members are."""

    version: uint16
    identities: Vec[StoredIdentity]


class StoredAllPastIdentities(Struct):
    """Who the members were in the epochs whose late messages can be read."""

    version: uint16
    epochs: Vec[StoredPastIdentities]


class StoredTree(Struct):
    """A group's ratchet tree."""

    version: uint16
    tree: opaque


class StoredPastEpochs(Struct):
    """What `mls.encode_past_epochs` makes of a group's past epochs."""

    version: uint16
    past_epochs_secret: opaque


class StoredPastGroup(Struct):
    """The group of a past state, as `mls.encode_group` has it."""

    version: uint16
    group_secret: opaque


class StoredPastState(Struct):
    """A state of a group that can be gone back to. The group and its members are parts of their own."""

    version: uint16
    successor: opaque
    intent: Opt[StoredIntent]
    left: uint64
    unheard: Vec[opaque]


class StoredGroupState(Struct):
    """A group, as `mls.encode_group_head` has it. What is large and seldom changes is in parts of its own: its tree, its members,
    what is kept of past epochs, and its past states."""

    version: uint16
    head_secret: opaque
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
    inbox_epoch: uint64


def check_version(struct: type[Struct], data: bytes) -> None:
    """Return if a part is of a version that we know.

    Raises:
        UnsupportedError: code `unknown-state-version`.
        DecodeError: it has none.
    """
    if len(data) < 2:
        raise malformed(struct, "version", "the input ends too early")
    version = int.from_bytes(data[:2], "big")
    if version != STATE_VERSION:
        raise UnsupportedError(
            f"a state of version {version}, which we do not know", code="unknown-state-version"
        )


def malformed(struct: type[Struct], field: str, reason: str) -> DecodeError:
    """What to raise for a part that makes no sense."""
    return DecodeError(reason, struct=struct.__name__, field=field, offset=0)


def text(data: bytes, struct: type[Struct], field: str) -> str:
    """A field that is UTF-8.

    Raises:
        DecodeError: it is not.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed(struct, field, "it is not UTF-8") from None


def _store_members(identities: Mapping[LeafIndex, VerifiedIdentity]) -> tuple[StoredIdentity, ...]:
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


def store_identities(identities: Mapping[LeafIndex, VerifiedIdentity]) -> StoredIdentities:
    """The members of a group."""
    return StoredIdentities(version=STATE_VERSION, identities=_store_members(identities))


def store_past_identities(
    epochs: Mapping[int, Mapping[LeafIndex, VerifiedIdentity]],
) -> StoredAllPastIdentities:
    """The members of past epochs."""
    return StoredAllPastIdentities(
        version=STATE_VERSION,
        epochs=tuple(
            StoredPastIdentities(epoch=epoch, identities=_store_members(identities))
            for epoch, identities in epochs.items()
        ),
    )


def store_tree(tree: RatchetTree) -> StoredTree:
    """A ratchet tree."""
    return StoredTree(version=STATE_VERSION, tree=encode_tree(tree))


def store_past_epochs(past_epochs: Sequence[PastEpoch]) -> StoredPastEpochs:
    """What is kept of past epochs. Secret."""
    return StoredPastEpochs(version=STATE_VERSION, past_epochs_secret=encode_past_epochs(past_epochs))


def store_past_group(group: Group) -> StoredPastGroup:
    """The group of a past state. Secret."""
    return StoredPastGroup(version=STATE_VERSION, group_secret=encode_group(group))


def _load_identities(stored: Sequence[StoredIdentity]) -> dict[LeafIndex, VerifiedIdentity]:
    return {
        LeafIndex(item.leaf_index): VerifiedIdentity(
            identity=text(item.identity, StoredIdentity, "identity"),
            identity_key=item.identity_key,
            root_key=item.root_key,
            scheme=item.scheme,
            domain=text(item.domain, StoredIdentity, "domain"),
            versions=item.versions,
        )
        for item in stored
    }


def store_group(known: GroupState) -> StoredGroupState:
    """What of a group is not in parts of its own."""
    return StoredGroupState(
        version=STATE_VERSION,
        head_secret=encode_group_head(known.group),
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
        inbox_epoch=known.inbox_epoch,
    )


def load_group(
    provider: CryptoProvider,
    stored: StoredGroupState,
    tree: StoredTree,
    past_epochs: StoredPastEpochs,
    identities: StoredIdentities,
    past_identities: StoredAllPastIdentities,
) -> GroupState:
    """A group, without its past states.

    Raises:
        UnsupportedError, DecodeError, ValidationError: it is none.
    """
    known = GroupState(
        group=decode_group_parts(provider, stored.head_secret, tree.tree, past_epochs.past_epochs_secret),
        identities=_load_identities(identities.identities),
        past_identities={past.epoch: _load_identities(past.identities) for past in past_identities.epochs},
        held=stored.held,
        told={text(told.domain, StoredTold, "domain"): told.tree_size for told in stored.told},
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
        inbox_epoch=stored.inbox_epoch,
    )
    if set(known.identities) != {member.leaf_index for member in known.group.members}:
        raise malformed(StoredGroupState, "identities", "they are not those of the members")
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
    domain = text(service.domain, StoredService, "domain")
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


def store_past_state(past: PastState) -> StoredPastState:
    """What of a past state is not in parts of its own."""
    return StoredPastState(
        version=STATE_VERSION,
        successor=past.successor,
        intent=None if past.intent is None else _store_intent(past.intent),
        left=past.left,
        unheard=tuple(sorted(past.unheard)),
    )


def load_past_state(
    provider: CryptoProvider, stored: StoredPastState, group: StoredPastGroup, identities: StoredIdentities
) -> PastState:
    """A past state.

    Raises:
        UnsupportedError, DecodeError, ValidationError: it is none.
    """
    return PastState(
        group=decode_group(provider, group.group_secret),
        identities=_load_identities(identities.identities),
        successor=stored.successor,
        intent=None if stored.intent is None else _load_intent(stored.intent),
        left=stored.left,
        unheard=frozenset(stored.unheard),
    )
