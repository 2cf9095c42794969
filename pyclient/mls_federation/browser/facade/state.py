"""What the clients of a page have, in records that a storage keeps each at a place of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

from ...codec import Opt, Struct, opaque, uint16
from ...crypto import CryptoProvider, KeyPair
from ...errors import RemoteError, StateError, StorageError
from ...mls import OwnKeyPackage, decode_group, decode_key_package, encode_group, encode_key_package
from ...mls.state import checked_version
from .views import OwnCommit, View, client_id_of

_VERSION = 1


class RecordKind(IntEnum):
    """What a record is."""

    identity = 1
    key_package = 2
    view = 3


Place: TypeAlias = tuple[int, int]
Part: TypeAlias = tuple[int, int, bytes]


@dataclass(frozen=True)
class Identity:
    """A client: its signature key pair. Secret."""

    keys: KeyPair = field(repr=False)


@dataclass(frozen=True)
class Offer:
    """A KeyPackage of a client's that is not used yet."""

    client_id: bytes
    own: OwnKeyPackage = field(repr=False)


Record: TypeAlias = Identity | Offer | View


@dataclass(frozen=True)
class State:
    """All records by their places: kind, and a number."""

    records: Mapping[Place, Record] = field(default_factory=dict)

    def identity(self, client_id: bytes) -> KeyPair:
        """The keys of a client.

        Raises:
            StateError: code `unknown-client`.
        """
        for record in self.records.values():
            if isinstance(record, Identity) and client_id_of(record.keys.public_key) == client_id:
                return record.keys
        raise StateError(
            "there is no client with this identifier; generateIdentity() makes one", code="unknown-client"
        )

    def offers(self, client_id: bytes) -> Sequence[tuple[Place, OwnKeyPackage]]:
        """The KeyPackages of a client that are not used yet."""
        return [
            (place, record.own)
            for place, record in self.records.items()
            if isinstance(record, Offer) and record.client_id == client_id
        ]

    def view(self, group_id: bytes, client_id: bytes) -> tuple[Place, View]:
        """A client's view of a group.

        Raises:
            StateError: code `no-such-group`.
        """
        for place, record in self.records.items():
            if isinstance(record, View) and (record.group.group_id, record.client_id) == (
                group_id,
                client_id,
            ):
                return place, record
        raise StateError("the client has no such group", code="no-such-group")

    def with_record(self, place: Place, record: Record) -> State:
        """The state with what is at a place replaced."""
        return State({**self.records, place: record})

    def with_new(self, record: Record) -> State:
        """The state with one more record."""
        kind = _kind_of(record)
        last = max((number for of, number in self.records if of == kind), default=0)
        return self.with_record((kind, last + 1), record)

    def with_view(self, view: View) -> State:
        """The state with a view in place of the one of the same client and group, if there is one."""
        try:
            place, _ = self.view(view.group.group_id, view.client_id)
        except StateError:
            return self.with_new(view)
        return self.with_record(place, view)

    def without(self, place: Place) -> State:
        """The state with nothing at a place."""
        return State({at: record for at, record in self.records.items() if at != place})


class StoredIdentity(Struct):
    """A client's signature key pair."""

    version: uint16
    public_key: opaque
    signature_key_priv: opaque


class StoredOffer(Struct):
    """A KeyPackage and whose it is."""

    version: uint16
    client_id: opaque
    key_package: opaque


class StoredOwnCommit(Struct):
    """A commit that is not applied, and the group that it makes."""

    message: opaque
    group: opaque


class StoredView(Struct):
    """A client's group."""

    version: uint16
    client_id: opaque
    group: opaque
    own_commit: Opt[StoredOwnCommit]


def changes(before: State, after: State) -> tuple[Sequence[Part], Sequence[Place]]:
    """What is to be written (secret), and what deleted, to make one state of another."""
    writes = [
        (*place, _encode(record))
        for place, record in after.records.items()
        if before.records.get(place) is not record
    ]
    return writes, [place for place in before.records if place not in after.records]


def decode_record(provider: CryptoProvider, kind: int, data: bytes) -> Record:
    """What `changes` encoded.

    Raises:
        StorageError: code `unknown-state-version`: of another version of this package; `unreadable-state`: it is no such record.
    """
    try:
        return _decode(provider, RecordKind(kind), data)
    except ValueError as error:
        raise StorageError(f"the state cannot be read: {error}", code="unreadable-state") from error
    except RemoteError as error:
        code = error.code if error.code == "unknown-state-version" else "unreadable-state"
        raise StorageError(f"the state cannot be read: {error.message}", code=code) from error


def _decode(provider: CryptoProvider, kind: RecordKind, data: bytes) -> Record:
    checked_version(data, "StoredRecord", (_VERSION,))
    match kind:
        case RecordKind.identity:
            identity = StoredIdentity.decode(data)
            return Identity(KeyPair(identity.signature_key_priv, identity.public_key))
        case RecordKind.key_package:
            offer = StoredOffer.decode(data)
            return Offer(offer.client_id, decode_key_package(offer.key_package))
        case RecordKind.view:
            stored = StoredView.decode(data)
            own = stored.own_commit
            return View(
                stored.client_id,
                decode_group(provider, stored.group),
                None if own is None else OwnCommit(own.message, decode_group(provider, own.group)),
            )


def _kind_of(record: Record) -> RecordKind:
    match record:
        case Identity():
            return RecordKind.identity
        case Offer():
            return RecordKind.key_package
        case View():
            return RecordKind.view


def _encode(record: Record) -> bytes:
    match record:
        case Identity(keys):
            return StoredIdentity(
                version=_VERSION, public_key=keys.public_key, signature_key_priv=keys.private_key
            ).encode()
        case Offer(client_id, own):
            return StoredOffer(
                version=_VERSION, client_id=client_id, key_package=encode_key_package(own)
            ).encode()
        case View(client_id, group, commit):
            return StoredView(
                version=_VERSION,
                client_id=client_id,
                group=encode_group(group),
                own_commit=None
                if commit is None
                else StoredOwnCommit(message=commit.message, group=encode_group(commit.group)),
            ).encode()
