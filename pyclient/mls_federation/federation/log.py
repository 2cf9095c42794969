"""The log of a delivery service: what it has ever said about its identities' devices, and that it says so to everybody.

Every device event is an entry of the domain's append-only log (a Merkle tree, `transparency`). The service signs tree heads: how
many entries there are, and their root hash. Whoever keeps the last head that was seen can have shown that every later one only
adds to it; and two people who compare heads see whether both were shown the same log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..codec import Struct, Vec, opaque, uint32, uint64
from ..crypto import CryptoProvider, SignatureScheme
from ..errors import ValidationError, VerificationError
from ..transparency import EMPTY_ROOT, leaf_hash, verify_consistency, verify_inclusion
from .binding import ClientKeys, domain_of, federation_sign_content
from .devices import Device, DeviceEvent, Devices, devices_of, event_hash
from .seed import Credential

_HEAD_LABEL = "TreeHead"


class TreeHead(Struct):
    """The state of a log: its entries' number, when the last of them came (Unix seconds), and their root hash."""

    domain: opaque
    tree_size: uint64
    timestamp: uint64
    root_hash: opaque


class SignedTreeHead(Struct):
    """A tree head that a delivery service stands by: its signing key's signature, under the label "TreeHead"."""

    tree_head: TreeHead
    signature: opaque


class LoggedEvent(Struct):
    """A device event, its number among the log's entries, and the nodes that show it there (RFC 9162 §2.1.3)."""

    event: DeviceEvent
    index: uint64
    inclusion_path: Vec[opaque]


class IdentityHistory(Struct):
    """All events of an identity, in their order, and the head of the log in which they are."""

    events: Vec[LoggedEvent]
    head: SignedTreeHead


class KeyResponse(Struct):
    """What there is of each client of an identity, of one at least keys; and what shows that these are its clients."""

    clients: Vec[ClientKeys]
    history: IdentityHistory


class HistoryRequest(Struct):
    """Asks for the history of an identity."""

    identity: opaque


class ConsistencyRequest(Struct):
    """Asks to be shown that the log of `second` entries begins with that of `first`."""

    first: uint64
    second: uint64


class ConsistencyProof(Struct):
    """The nodes that show it (RFC 9162 §2.1.4); none if `first` is 0 or equal to `second`."""

    path: Vec[opaque]


class EntriesRequest(Struct):
    """Asks for entries from number `start` on, `count` of them at most."""

    start: uint64
    count: uint32


class EntriesResponse(Struct):
    """Entries in their order: as many as were asked for, are there, and fit."""

    entries: Vec[opaque]


def sign_tree_head(provider: CryptoProvider, signing_key: bytes, head: TreeHead) -> SignedTreeHead:
    """A tree head, signed with the private key of a delivery service. The same head always gets the same signature."""
    content = federation_sign_content(_HEAD_LABEL, head.encode())
    return SignedTreeHead(
        tree_head=head, signature=provider.sign(SignatureScheme.ed25519, signing_key, content)
    )


def verify_tree_head(provider: CryptoProvider, signing_key: bytes, domain: str, head: SignedTreeHead) -> None:
    """Return if a head is one of the log of `domain`, whose service has this signing key.

    Raises:
        VerificationError: code `bad-tree-head`.
    """
    said = head.tree_head
    content = federation_sign_content(_HEAD_LABEL, said.encode())
    try:
        provider.verify(SignatureScheme.ed25519, signing_key, content, head.signature)
    except VerificationError:
        raise _bad_head(domain) from None
    if said.domain != domain.encode("ascii") or (said.tree_size == 0 and said.root_hash != EMPTY_ROOT):
        raise _bad_head(domain)


def compare_heads(some: SignedTreeHead, other: SignedTreeHead) -> ConsistencyRequest | None:
    """What to ask the service, to know whether two verified heads of one log agree; None if they are seen to.

    Raises:
        VerificationError: code `log-forked`: they do not, and both are signed, which is evidence for everybody;
            `bad-tree-head`: the log has grown while time ran backwards.
    """
    older, newer = sorted((some.tree_head, other.tree_head), key=lambda head: head.tree_size)
    domain = older.domain.decode("ascii")
    if older == newer:
        return None
    if older.tree_size == newer.tree_size:
        raise VerificationError(
            f"the delivery service of {domain} shows different logs to different people", code="log-forked"
        )
    if older.timestamp > newer.timestamp:
        raise _bad_head(domain)
    if older.tree_size == 0:
        return None
    return ConsistencyRequest(first=older.tree_size, second=newer.tree_size)


def verify_growth(some: SignedTreeHead, other: SignedTreeHead, path: Sequence[bytes]) -> None:
    """Return if the log under the one of two verified heads begins with the log under the other.

    Raises:
        VerificationError: as `compare_heads`; code `log-rewritten`: it does not, or that is not shown.
    """
    if compare_heads(some, other) is None and not path:
        return
    older, newer = sorted((some.tree_head, other.tree_head), key=lambda head: head.tree_size)
    verify_consistency(older.tree_size, newer.tree_size, older.root_hash, newer.root_hash, path)


@dataclass(frozen=True)
class ChainTip:
    """How far somebody has seen an identity's chain of events.

    Attributes:
        events: how many events it had.
        latest: SHA-256 of the last of them.
    """

    events: int
    latest: bytes


def verify_history(
    provider: CryptoProvider,
    signing_key: bytes,
    identity: str,
    history: IdentityHistory,
    known: ChainTip | None = None,
) -> Devices:
    """Who may speak for an identity, as its delivery service shows it: each event is valid, and in the log.

    Args:
        signing_key: the service's public key.
        known: how far its chain was seen before, from which it may only go on.

    Raises:
        VerificationError: code `bad-tree-head`, `bad-inclusion-proof`; or that of an event.
        ValidationError: code `not-in-log`: there are no events; `wrong-identity`: they are another's; `history-withheld`: there
            were more before; `history-forked`: there were others before; or that of a fault in the chain.
    """
    head = history.head.tree_head
    verify_tree_head(provider, signing_key, domain_of(identity), history.head)
    if not history.events:
        raise ValidationError(f"the log has nothing of {identity}", code="not-in-log")
    devices = devices_of(provider, [logged.event for logged in history.events])
    if devices.identity != identity.encode("utf-8"):
        raise ValidationError(f"a history that is not {identity}'s", code="wrong-identity")
    after = -1
    for logged in history.events:
        if logged.index <= after:
            raise VerificationError("the log has these events in another order", code="bad-inclusion-proof")
        after = logged.index
        leaf = leaf_hash(logged.event.encode())
        verify_inclusion(leaf, logged.index, head.tree_size, logged.inclusion_path, head.root_hash)
    if known is not None:
        _check_continues(identity, history, known)
    return devices


def chain_tip(devices: Devices) -> ChainTip:
    """How far a chain goes."""
    return ChainTip(devices.events, devices.latest)


def logged_device(devices: Devices, credential: Credential, client_id: bytes) -> Device:
    """The device of an identity that has this key and id.

    Raises:
        ValidationError: code `revoked-device`; `not-in-log`: there never was one.
    """
    try:
        device = devices.device_of(credential)
    except ValidationError as error:
        if error.code == "revoked-device":
            raise
        raise _not_in_log(devices) from None
    if device.client_id != client_id:
        raise _not_in_log(devices)
    return device


def _check_continues(identity: str, history: IdentityHistory, known: ChainTip) -> None:
    if len(history.events) < known.events:
        raise ValidationError(
            f"the delivery service keeps back events of {identity} that it has shown before",
            code="history-withheld",
        )
    if event_hash(history.events[known.events - 1].event) != known.latest:
        raise ValidationError(
            f"the delivery service shows other devices of {identity} than it did before",
            code="history-forked",
        )


def _not_in_log(devices: Devices) -> ValidationError:
    return ValidationError(
        f"a key of {devices.identity.decode('utf-8')} that is not in the log", code="not-in-log"
    )


def _bad_head(domain: str) -> VerificationError:
    return VerificationError(f"this is no head of the log of {domain}", code="bad-tree-head")
